"""How a text is cut into parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import UnknownNameError
from charrnn_core.text.split import PARTS, SPLITS, Piece, Split, count_characters, first_characters

INTERLEAVED = "char-rnn-95/5-interleaved"
names = st.sampled_from(sorted(SPLITS))
shares = st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0])


@st.composite
def splits(draw):
    """Presets, and splits that interleave parts more finely than any of them."""
    if draw(st.booleans()):
        return Split.named(draw(names))
    train = draw(shares)
    valid = (1 - train) * draw(shares)
    return Split(
        "some", train, valid, streams=draw(st.integers(1, 4)), grain=draw(st.integers(1, 3))
    )


@given(splits(), st.integers(0, 3000))
def test_parts_lose_nothing_but_an_incomplete_end(split, length):
    inside = sorted(span for part in PARTS[:3] for span in split.ranges(length, part))
    assert all(start < end for start, end in inside)
    assert [start for start, _ in inside[1:]] == [end for _, end in inside[:-1]]
    lost = length - (inside[-1][1] - inside[0][0] if inside else 0)
    assert 0 <= lost < split.streams * split.grain
    assert split.ranges(length, "all") == ([(0, length)] if length else [])


@given(names, st.integers(0, 3000))
def test_contiguous_parts_follow_each_other(name, length):
    if name != INTERLEAVED:
        ends = [span for part in PARTS[:3] for span in Split.named(name).ranges(length, part)]
        assert ends == sorted(ends) and len(ends) <= 3
        assert sum(end - start for start, end in ends) == length


@given(splits(), st.integers(1, 500), st.sampled_from(PARTS))
def test_pieces_follow_the_character_before_them(split, length, part):
    ids = np.arange(length)
    pieces = split.pieces(ids, part, beginning=-1)
    assert [(p.before + 1, p.before + 1 + len(p.ids)) for p in pieces] == split.ranges(length, part)
    assert all(np.array_equal(p.ids, p.before + 1 + np.arange(len(p.ids))) for p in pieces)
    assert all(np.shares_memory(p.ids, ids) for p in pieces)


@given(splits(), st.integers(0, 500))
def test_what_is_learnt_from_is_the_training_part(split, length):
    ids = np.arange(length, dtype=np.uint16)
    training = split.training(ids)
    expected = [i for start, end in split.ranges(length, "train") for i in range(start, end)]
    assert training.tolist() == expected and training.dtype == ids.dtype


def test_a_contiguous_training_text_is_not_copied():
    ids = np.arange(100)
    assert np.shares_memory(Split.named("last-10%").training(ids), ids)


@given(st.lists(st.integers(1, 5)), st.integers(0, 20))
def test_the_first_characters_of_pieces(lengths, count):
    pieces = [Piece(i, np.arange(length)) for i, length in enumerate(lengths)]
    first = first_characters(pieces, count)
    assert count_characters(first) == min(count, sum(lengths))
    assert all(len(piece.ids) for piece in first)
    assert [piece.before for piece in first] == list(range(len(first)))


def test_presets_on_tiny_shakespeare():
    length = 1_115_394
    assert Split.named("nanogpt-90/10").ranges(length, "valid") == [(1_003_854, length)]
    # 446 batches of 50 streams by 50 characters, of which the last 23 are held out.
    pieces = Split.named(INTERLEAVED).ranges(length, "valid")
    assert pieces == [(i * 22_300 + 21_150, (i + 1) * 22_300) for i in range(50)]
    assert Split.named(INTERLEAVED).ranges(length, "test") == []


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean 'last-10%'"):
        Split.named("last10%")
    with pytest.raises(UnknownNameError, match="no part of a split named 'tset'"):
        Split.named("all").ranges(1, "tset")
