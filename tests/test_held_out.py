"""What is scored while a model learns and at its end, and what the time of a run is spent on."""

import dataclasses
import itertools
import json

import flax.linen as nn
import jax
import numpy as np
import pytest

from charrnn_core import RunConfig, evaluate, load, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.evaluation.excerpt import Excerpt
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.events import Ended, Evaluated, Started, Stepped, TimeSpent
from charrnn_core.files.checkpoint import load_checkpoint
from charrnn_core.network.network import Network
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.text.split import Piece, Split, count_characters
from tests.recorder import Recorder
from tests.resuming import quiet

V = 5


def text_in_pieces(lengths, seed=0):
    """Random pieces of one text that was cut, so that each knows the character before it."""
    ids = np.random.default_rng(seed).integers(V, size=1 + sum(lengths)).astype(np.uint8)
    ends = list(itertools.accumulate(lengths, initial=1))
    return [Piece(int(ids[a - 1]), ids[a:b]) for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize(
    "lengths",
    [[40_000], [123_457], [300, 70_000, 1, 20_001], [1100] * 50, [1_000_003]],
    ids=lambda lengths: f"{len(lengths)} of {lengths[0]}",
)
def test_an_excerpt_is_spread_evenly(lengths):
    pieces = text_in_pieces(lengths)
    some = Excerpt.of(pieces)
    assert not some.is_whole
    assert some.characters <= 64 * 256 and len(some.pieces) == 64
    assert len(some.counts) == count_characters(some.pieces) <= 64 * 384
    # The places of what is read, found by its memory: views of the same text, each once, in order.
    base = pieces[0].ids.base
    begins = [int(ids.ctypes.data - base.ctypes.data) for _, ids in some.pieces]
    assert begins == sorted(set(begins))
    for begin, (before, ids) in zip(begins, some.pieces, strict=True):
        assert before == base[begin - 1] and (ids == base[begin : begin + len(ids)]).all()
    total = sum(lengths)
    assert max(np.diff([0, *begins, total])) < total / 64 + 768
    again = Excerpt.of(pieces)
    assert (again.counts == some.counts).all()


def test_every_stretch_warms_up_on_what_comes_before():
    [piece] = text_in_pieces([50_000])
    some = Excerpt.of([piece])
    counts = some.counts.reshape(64, -1)
    assert (counts == (np.arange(384) >= 128)).all()
    short = Excerpt.of(text_in_pieces([200] * 400))  # nothing comes before the start of a piece
    assert short.counts.all() and len(short.counts) == 64 * 200 and not short.is_whole


@pytest.mark.parametrize("lengths", [[1], [32_000], [3, 900]], ids=str)
def test_a_short_text_is_its_own_excerpt(lengths):
    pieces = text_in_pieces(lengths)
    some = Excerpt.of(pieces)
    assert some.is_whole and some.characters == sum(lengths) and some.pieces == pieces


def test_a_character_costs_in_an_excerpt_what_it_costs_in_the_text():
    network = Network(as_cell(nn.GRUCell(7)), symbols=V)
    params = network.compiled_init(jax.random.key(1))
    pieces = text_in_pieces([30_011, 9_002])
    alone = [np.concatenate(list(Scorer(network, streams=1)(params, [piece]))) for piece in pieces]
    whole = np.concatenate(alone)
    some = Excerpt.of(pieces)
    nats = list(Scorer(network, streams=64)(params, some.pieces))
    cut = np.cumsum([0, *map(len, nats)])
    found = np.concatenate(list(some.counted(nats)))
    assert len(found) == some.characters and cut[-1] == len(some.counts)
    begins = [int(ids.ctypes.data - pieces[0].ids.base.ctypes.data) for _, ids in some.pieces]
    read = np.concatenate(
        [np.arange(b, b + len(ids)) for b, (_, ids) in zip(begins, some.pieces, strict=True)]
    )
    np.testing.assert_allclose(found, whole[read[some.counts] - 1], atol=2e-4)


@pytest.fixture(scope="module")
def long_text(tmp_path_factory):
    """A text whose held-out tenth is longer than two excerpts; the model soon overfits."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefg"), 3 + i % 4)) for i in range(30)]
    text = " ".join(words[i] for i in rng.integers(30, size=80_000))
    path = tmp_path_factory.mktemp("text") / "long.txt"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def config(long_text):
    return RunConfig(
        source=str(long_text), cell="elman:12", batch=8, window=16, characters=6000,
        observers="jsonl", sample_length=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    recorder = Recorder()
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(config, out=out, observers=[recorder], note=quiet), recorder


@pytest.mark.slow
def test_an_excerpt_while_it_learns_and_everything_at_the_end(finished, long_text):
    result, recorder = finished
    [started], evaluated = recorder.of(Started), recorder.of(Evaluated)
    assert 16_000 < started.scored_characters <= 16_384 < 30_000 < started.held_out_characters
    assert len(evaluated) == 10
    whole = evaluate(result.model, baselines=False, note=quiet)
    assert result.held_out.characters == whole.characters == started.held_out_characters
    assert result.held_out.nats_per_char == pytest.approx(whole.nats_per_char, abs=1e-5)
    assert result.held_out.interval == pytest.approx(whole.interval, abs=1e-4)
    # The last loss of the log and of the checkpoint is the excerpt's.
    ids = result.model.alphabet.encode(long_text.read_text())
    excerpt = Excerpt.of(Split.named("last-10%").pieces(ids, "valid", 0))
    nats = Scorer(result.model.network, streams=64)(result.model.params, excerpt.pieces)
    mean = np.concatenate(list(excerpt.counted(nats))).mean(dtype=np.float64)
    assert evaluated[-1].nats_per_char == pytest.approx(mean, abs=1e-6)
    assert result.model.table["held_out_nats_per_char"] == evaluated[-1].nats_per_char
    assert abs(mean - whole.nats_per_char) > 1e-5  # or nothing above tells them apart
    assert recorder.of(Ended)[0].held_out_nats_per_char == result.held_out.nats_per_char


@pytest.mark.slow
def test_the_best_is_scored_on_everything_too(config, tmp_path):
    """A rate that grows and grows: the first evaluation is the best."""
    worse = dataclasses.replace(
        config, optimizer="adam", characters=20_000, eval_every=0.01, patience=2, context=0,
        counts=0,
        dropout_output=0.2,
    )  # fmt: skip
    worse = dataclasses.replace(
        worse, optimizer=dataclasses.replace(worse.optimizer, options={"learning_rate": 3.0})
    )
    result = train(worse, out=tmp_path / "run", note=quiet)
    assert result.reason == "stopped early" and result.best_step != result.updates
    last, best = load(tmp_path / "run", last=True), load(tmp_path / "run")
    assert best.table["step"] == result.best_step == result.model.table["step"]
    assert last.table["step"] == result.updates
    [row] = [row for row in result.held_out.rows if row.name.startswith("last")]
    assert row.name == f"last, update {result.updates:,}" and row == result.held_out.last
    for model, nats in ((last, row.nats_per_char), (best, result.held_out.nats_per_char)):
        again = evaluate(model, baselines=False, note=quiet)
        assert nats == pytest.approx(again.nats_per_char, abs=1e-4)
    saved = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert saved["last"]["nats_per_char"] == row.nats_per_char > saved["nats_per_char"]
    assert saved["step"] == result.updates and saved["model"]["step"] == result.best_step
    assert result.best != result.held_out.nats_per_char  # that one is the excerpt's
    table = [line for line in result.lines() if line.startswith(("model ", "last, update"))]
    assert table[0] == f"model from {best.chosen}" and "the best of" in table[0]
    assert [line[:5] for line in table[1:]] == ["model", "last,"]


def test_a_best_that_is_gone_is_replaced_by_the_last(config, tmp_path):
    class Thief:
        def on_checkpoint(self, event):
            for path in RunDirectory(tmp_path / "run").saved():
                if path != event.path:
                    path.unlink()

    notes = []
    options = {"learning_rate": 3.0}
    worse = dataclasses.replace(
        config,
        characters=20_000,
        eval_every=0.01,
        patience=2,
        context=0,
        counts=0,
        dropout_output=0.2,
    )
    worse = dataclasses.replace(
        worse, optimizer=dataclasses.replace(worse.optimizer, options=options)
    )
    result = train(worse, out=tmp_path / "run", observers=[Thief()], note=notes.append)
    assert result.reason == "stopped early" and result.held_out.last is None
    assert any("the best model is lost; the last one is used: " in note for note in notes)
    assert result.model.table["step"] == result.updates == result.best_step


@pytest.mark.slow
def test_who_interrupts_gets_the_last_loss_of_the_excerpt(config, tmp_path):
    recorder, asked = Recorder(), itertools.count()
    result = train(
        config, out=tmp_path / "run", observers=[recorder], note=quiet, updates_per_call=1,
        stop=lambda: next(asked) > 12,
    )  # fmt: skip
    assert result.reason == "interrupted"
    assert result.held_out.nats_per_char == recorder.of(Evaluated)[-1].nats_per_char
    assert result.held_out.characters == recorder.of(Started)[0].scored_characters


def test_every_second_is_told(finished, tmp_path):
    result, recorder = finished
    names = [f"{field.name}_seconds" for field in dataclasses.fields(TimeSpent)]
    rows = [json.loads(x) for x in (result.directory / "metrics.jsonl").read_text().splitlines()]
    sums = [sum(row[name] for name in names) for row in rows]
    assert sums == sorted(sums)
    for name in names:
        each = [row[name] for row in rows]
        assert each == sorted(each) or name == "other_seconds"
    [ended] = recorder.of(Ended)
    assert ended.seconds == ended.spent.total
    saved = json.loads((result.directory / "evaluation.json").read_text())
    assert sums[-1] <= sum(saved[name] for name in names) + 0.01
    assert sum(saved[name] for name in names) <= ended.seconds + 0.01 <= result.spent.total + 0.02
    assert all(getattr(result.spent, name) > 0 for name in ("start_up", "updates", "samples"))
    assert saved["evaluation_seconds"] > rows[-1]["evaluation_seconds"]  # of everything, at the end
    [line] = [line for line in result.lines() if line.startswith("time ")]
    assert line == f"time      {result.spent.line()}; {result.updates:,} updates"


@pytest.mark.slow
def test_a_resumed_run_counts_on(config, tmp_path):
    asked = itertools.count()
    first = train(
        config, out=tmp_path / "run", note=quiet, updates_per_call=1,
        stop=lambda: next(asked) > 20,
    )  # fmt: skip
    [path] = RunDirectory(tmp_path / "run").saved()[-1:]
    loop = load_checkpoint(path).table["loop"]
    assert loop["seconds"] == pytest.approx(sum(loop["spent"].values()), abs=0.01)
    recorder = Recorder()
    second = resume(tmp_path / "run", observers=[recorder], note=quiet)
    for name in ("start_up", "updates", "evaluation", "samples", "checkpoints"):
        assert getattr(second.spent, name) > loop["spent"][name], name
        assert getattr(first.spent, name) >= loop["spent"][name], name
    begun = recorder.of(Stepped)[0].spent
    assert loop["seconds"] < begun.total < second.spent.total
    last = load_checkpoint(RunDirectory(tmp_path / "run").saved()[-1]).table["loop"]
    assert sum(last["spent"].values()) == pytest.approx(last["seconds"], abs=0.01)
