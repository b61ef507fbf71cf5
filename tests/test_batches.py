"""Batches lose no character, repeat none and wrap nowhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError
from charrnn_core.training.batches import (
    MINIMUM_WINDOW,
    Streams,
    Subsequences,
    fit_geometry,
    stack_batches,
)

lengths, sizes = st.integers(2, 300), st.integers(1, 20)


def predictions(batches, epoch=0):
    """Every predicted position of an epoch; ids count up, so a target tells its place."""
    for i in range(batches.steps_per_epoch):
        batch = batches.batch(epoch, i)
        counts = batch.weights > 0
        np.testing.assert_array_equal(batch.targets[counts], batch.inputs[counts] + 1)
        yield from batch.targets[counts].tolist()


@given(lengths, sizes, sizes)
def test_streams_predict_every_character_once(length, streams, window):
    batches = Streams(np.arange(length, dtype=np.int32), streams, window)
    assert sorted(predictions(batches)) == list(range(1, length))
    assert batches.characters_per_epoch == length - 1


@given(lengths, sizes, sizes)
def test_each_stream_is_contiguous_from_window_to_window(length, streams, window):
    batches = Streams(np.arange(length, dtype=np.int32), streams, window)
    windows = [batches.batch(0, i) for i in range(batches.steps_per_epoch)]
    inputs, weights = (
        np.concatenate([getattr(w, name) for w in windows]) for name in ("inputs", "weights")
    )
    for j in range(streams):
        seen = inputs[weights[:, j] > 0, j]
        assert (np.diff(seen) == 1).all()
        assert (np.diff(weights[:, j]) <= 0).all()  # padding only at the end
    assert [w.reset.tolist() for w in windows] == [[i == 0] * streams for i in range(len(windows))]


@given(lengths, st.integers(1, 100), sizes, st.integers(0, 5), st.integers(0, 9))
def test_a_subsequence_is_one_contiguous_stretch(length, stretch, window, seed, epoch):
    batches = Subsequences(np.arange(length, dtype=np.int32), stretch, window, seed)
    seen = list(predictions(batches, epoch))
    assert seen == list(range(seen[0], seen[0] + min(stretch, length - 1)))
    assert batches.batch(epoch, 0).reset.tolist() == [True]


def test_subsequences_cover_the_text_and_depend_on_the_seed():
    ids = np.arange(40, dtype=np.int32)

    def starts(seed):
        batches = Subsequences(ids, 5, 5, seed)
        return [int(batches.batch(epoch, 0).inputs[0, 0]) for epoch in range(600)]

    assert starts(0) == starts(0) != starts(1)
    counts = np.bincount(starts(0), minlength=35)
    assert len(counts) == 35 and counts.min() > 0
    assert ((counts - 600 / 35) ** 2 / (600 / 35)).sum() < 70  # chi-square, 34 degrees, p < 0.0003


def test_stacking_fills_the_room_with_the_last_batch():
    batches = Streams(np.arange(50, dtype=np.int32), 2, 4)
    stacked = stack_batches(batches, batches.steps_per_epoch - 1, 2, 4)
    assert stacked.inputs.shape == (4, 4, 2)
    np.testing.assert_array_equal(stacked.inputs[0], batches.batch(0, 6).inputs)
    np.testing.assert_array_equal(stacked.inputs[1], batches.batch(1, 0).inputs)
    np.testing.assert_array_equal(stacked.inputs[3], stacked.inputs[1])


@given(st.integers(0, 5000), st.integers(1, 200), st.integers(1, 200))
def test_geometry_always_fills_a_window(characters, streams, window):
    least = min(window, MINIMUM_WINDOW)
    if characters <= least:
        with pytest.raises(CorpusError, match=f"expected at least {least + 1}"):
            fit_geometry(characters, streams, window)
        return
    batch, length = fit_geometry(characters, streams, window)
    assert 1 <= batch <= streams and 1 <= length <= window
    assert batch * length <= characters - 1
    if streams * window <= characters - 1:
        assert (batch, length) == (streams, window)
