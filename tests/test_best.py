"""The best model by default: what uses it, what is used without it, and when it is found."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest

from charrnn_core import RunConfig, evaluate, load, resume, train
from charrnn_core.errors import CheckpointError
from charrnn_core.evaluation.row import Row
from charrnn_core.events import Evaluated
from charrnn_core.files.checkpoint import load_checkpoint
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.model import describe_run
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.training.held_out import HeldOut
from tests.recorder import Recorder
from tests.resuming import quiet


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:8", batch=4, window=8, characters=4000,
        observers="jsonl", sample_length=5, shards=1, patience=0, context=0,
        counts=0, dropout_output=0.2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def worse(config, tmp_path_factory):
    """A run that is best somewhere in the middle: its learning rate is far too high then."""
    rate = {"clip": 1, "warmup": 0, "schedule": "constant"}
    config = dataclasses.replace(config, optimizer=Ref("sgd", "3", rate), characters=20_000)
    result = train(config, out=tmp_path_factory.mktemp("worse") / "run", note=quiet)
    assert result.best_step not in (None, result.updates)
    return result


def params(model):
    return model.params["readout"]["kernel"]


def test_the_best_model_is_read_and_the_last_if_asked(worse):
    run = worse.directory
    best, last = load(run, note=quiet), load(run, last=True, note=quiet)
    file = RunDirectory(run).checkpoint_file(worse.best_step)
    saved = load_checkpoint(file)
    np.testing.assert_array_equal(params(best), saved.arrays["params/readout/kernel"])
    assert not np.array_equal(params(best), params(last))
    assert str(best.chosen) == f"update {worse.best_step:,}, the best of 10 evaluations"
    assert str(last.chosen) == f"update {worse.updates:,}, the last"
    assert str(load(file).chosen) == f"update {worse.best_step:,}"
    assert worse.model.table["step"] == worse.best_step


def test_what_is_reported_is_of_the_best_model(worse):
    held_out, run = worse.held_out, worse.directory
    assert held_out.nats_per_char < held_out.last.nats_per_char
    for last, nats in ((False, held_out.nats_per_char), (True, held_out.last.nats_per_char)):
        again = evaluate(load(run, last=last), note=quiet)
        assert again.nats_per_char == pytest.approx(nats, rel=1e-6)
    saved = json.loads((run / "evaluation.json").read_text())
    assert saved["model"] == {
        "step": worse.best_step, "last": worse.updates, "best": worse.best_step, "evaluations": 10,
    }  # fmt: skip
    assert saved["step"] == worse.updates and saved["last"]["name"].startswith("last, update")
    lines = worse.lines()
    assert lines[1] == f"model from update {worse.best_step:,}, the best of 10 evaluations"
    assert sum(line.startswith(f"last, update {worse.updates:,} ") for line in lines) == 1


def test_commands_use_the_best_and_say_so(worse, charrnn, charrnn_process):
    run, name = worse.directory, f"update {worse.best_step:,}, the best of 10 evaluations"
    table = json.loads(charrnn("eval", run, "--json").stdout)
    assert table["model"]["step"] == table["model"]["best"] == worse.best_step
    assert table["nats_per_char"] == pytest.approx(worse.held_out.nats_per_char, rel=1e-6)
    assert f"model from {name}\n" in charrnn("eval", run).stdout
    last = charrnn_process("eval", run, "--last", "--json")
    table = json.loads(last.stdout)
    assert table["model"]["step"] == worse.updates
    assert table["nats_per_char"] == pytest.approx(worse.held_out.last.nats_per_char, rel=1e-6)
    samples = [charrnn("sample", run, *more) for more in ((), ("--best",), ("--last",))]
    assert samples[0].stdout == samples[1].stdout != samples[2].stdout
    assert f"note: model from {name}\n" in samples[0].stderr and name not in samples[2].stderr
    scored = [charrnn("score", run, *more) for more in ((), ("--last",))]
    assert scored[0].stdout != scored[1].stdout
    assert f"note: model from {name}\n" in scored[0].stderr and name not in scored[1].stderr


def test_info_tells_of_the_run_and_of_its_best_model(worse, charrnn):
    run = worse.directory
    shown = " ".join(charrnn("info", run).stdout.split())
    for words in (
        "status finished", f"model update {worse.best_step:,}, the best of 10 evaluations",
        f"after update {worse.updates:,}", f"trained {worse.updates:,} updates",
    ):  # fmt: skip
        assert words in shown, words
    best, last = describe_run(run, note=quiet), describe_run(run, last=True, note=quiet)
    assert best["status"] == last["status"] == "finished" and best["loop"] == last["loop"]
    assert (best["step"], last["step"]) == (worse.best_step, worse.updates)
    assert best["held_out_nats_per_char"] == best["loop"]["best"]
    assert last["held_out_nats_per_char"] == best["loop"]["held_out"]
    shown = " ".join(charrnn("info", run, "--last").stdout.split())
    assert f"model update {worse.updates:,}, the last best" in shown


def test_info_shows_the_loss_on_all_of_the_held_out_text(config, tmp_path, charrnn):
    """And beside it the one of the excerpt that was read while the model learnt."""
    small = dataclasses.replace(config, eval_characters=40)
    trained = train(small, out=tmp_path / "run", note=quiet)
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    excerpt = trained.model.table["held_out_nats_per_char"]
    result["nats_per_char"] = excerpt + 0.25
    (tmp_path / "run" / "evaluation.json").write_text(json.dumps(result))
    shown = charrnn("info", "run").stdout
    assert f"held-out    {excerpt + 0.25:.4f} nats" in shown
    assert f"excerpt     {excerpt:.4f} nats" in shown


def test_a_new_training_begins_with_the_best_parameters(worse, tmp_path):
    notes = []
    changed = dataclasses.replace(worse.model.config, init_from=str(worse.directory))
    train(changed, out=tmp_path / "new", stop=lambda: True, note=notes.append)
    new = load_checkpoint(RunDirectory(tmp_path / "new").checkpoint_file(0))
    np.testing.assert_array_equal(new.arrays["params/readout/kernel"], params(worse.model))
    assert f"update {worse.best_step:,}, the best of 10 evaluations" in notes[0]


def test_without_a_held_out_loss_it_is_the_last_and_a_note_says_so(config, tmp_path, charrnn):
    everything = dataclasses.replace(config, split="all")
    notes = []
    result = train(everything, out=tmp_path / "run", note=notes.append)
    assert result.held_out is None and not notes
    done = charrnn("sample", "run", "--length", 3)
    assert done.returncode == 0
    assert f"run has no held-out loss; using the last model, of step-{result.updates:09d}.crn" in (
        done.stderr
    )
    assert "no held-out loss" not in charrnn("sample", "run", "--length", 3, "--last").stderr


def test_who_interrupts_is_told_of_the_best_so_far(config, tmp_path, monkeypatch):
    longer = dataclasses.replace(config, characters=20_000)
    recorder, asked, figures = Recorder(), iter(range(10**6)), iter([1.5, 1.25, 1.75, 2.0, 2.0])
    rows = (Row(name="model", nats_per_char=figure) for figure in figures)
    monkeypatch.setattr(HeldOut, "glance", lambda self, params: next(rows))
    result = train(
        longer, out=tmp_path / "run", observers=[recorder], note=quiet, updates_per_call=25,
        stop=lambda: next(asked) > 13,
    )  # fmt: skip
    losses = {event.step: event.nats_per_char for event in recorder.of(Evaluated)}
    least = min(losses, key=losses.__getitem__)
    assert result.reason == "interrupted" and least != max(losses)  # or the last would do
    assert result.held_out.nats_per_char == losses[least] and result.held_out.last is None
    assert result.held_out.chosen.step == load(tmp_path / "run").table["step"] == least
    assert str(result.held_out.chosen) == f"update {least:,}, the best of {len(losses)} evaluations"


@pytest.mark.slow
def test_the_last_is_the_best_if_all_of_the_text_says_so(config, tmp_path, monkeypatch):
    """An excerpt that rates the models the wrong way round."""
    seen = []

    def glance(self, params):
        seen.append(params)
        return Row(name="model", nats_per_char=1.0 + len(seen))

    with monkeypatch.context() as patch:
        patch.setattr(HeldOut, "glance", glance)
        result = train(config, out=tmp_path / "run", note=quiet)
    assert len(seen) == 10 and result.held_out.last is None
    assert result.best_step == result.updates == result.model.table["step"]
    assert str(result.model.chosen) == (
        f"update {result.updates:,}, the last and the best of 10 evaluations"
    )
    loop = open_checkpoint(tmp_path / "run", quiet)[1].table["loop"]
    assert (loop["best_step"], loop["best"], loop["stale"]) == (result.updates, 11.0, 0)
    more = resume(tmp_path / "run", budget={"characters": 5000}, note=quiet)
    assert more.best_step > result.updates  # what comes is compared with the excerpt's figure


def overfitting(losses):
    """How long each of some evaluations, given as (held-out, training loss), has overfitted."""
    loop, counts = LoopState(), []
    for nats, learnt in losses:
        loop.evaluated(nats, learnt)
        counts.append(loop.overfits)
    return counts


def test_overfitting_is_a_clear_rise_while_the_training_loss_falls():
    falling = [1.6, 1.5, 1.4, 1.3, 1.2, 1.1]
    held_out = [1.7, 1.5, 1.55, 1.57, 1.60, 1.65]
    assert overfitting(zip(held_out, falling, strict=True)) == [0, 0, 0, 1, 2, 3]
    dips = [1.7, 1.5, 1.57, 1.55, 1.57, 1.49]
    assert overfitting(zip(dips, falling, strict=True)) == [0, 0, 1, 0, 1, 0]
    diverging = [1.6, 1.5, 1.6, 1.5, 1.4, math.nan]
    assert overfitting(zip(held_out, diverging, strict=True)) == [0, 0, 0, 0, 1, 0]
    assert overfitting([(1.5, None), (1.9, 1.0), (math.nan, 1.0)]) == [0, 0, 0]
    assert overfitting([(math.nan, 1.6), (1.5, 1.5), (1.6, 1.4)]) == [0, 0, 1]


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A run on a text from which nothing can be learnt but itself, and its events."""
    folder = tmp_path_factory.mktemp("noise")
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 3000))
    (folder / "noise.txt").write_text(text)
    config = RunConfig(
        source=str(folder / "noise.txt"), cell="elman:64", context=0,
        counts=0, dropout_output=0.0, batch=4,
        window=8, characters=100_000, observers="jsonl", sample_length=5, shards=1,
        optimizer=Ref("adam", "1e-2"),
    )  # fmt: skip
    recorder = Recorder()
    return train(config, out=folder / "run", observers=[recorder], note=quiet), recorder


@pytest.mark.slow
def test_a_run_that_overfits_is_stopped(noise):
    result, recorder = noise
    losses = [event.nats_per_char for event in recorder.of(Evaluated)]
    assert result.reason == "stopped early" and 2 < len(losses) < 10
    risen = [loss > 1.04 * min(losses[: i + 1]) for i, loss in enumerate(losses)]
    assert [a and b for a, b in itertools.pairwise(risen)].index(True) == len(losses) - 2
    assert result.held_out.nats_per_char == pytest.approx(min(losses), rel=1e-6)
    [line] = [line for line in result.lines() if "stopped early" in line]
    left = 100 - 100 * result.updates * 4 * 8 / 100_000
    assert f"with {left:.0f} % of the budget left: it was overfitting; --patience 0 trains" in line


def test_nothing_stops_a_run_with_patience_0(noise, tmp_path):
    result, _ = noise
    config = dataclasses.replace(result.model.config, patience=0)
    patient = train(config, out=tmp_path / "run", note=quiet)
    assert patient.reason == "finished" and patient.updates > result.updates
    assert patient.best_step == result.best_step
    assert params(patient.model).tobytes() == params(result.model).tobytes()


def test_an_interruption_does_not_put_off_the_stop(noise, tmp_path):
    straight, overfit = noise
    evaluations, recorder = len(overfit.of(Evaluated)), Recorder()
    half = train(
        straight.model.config, out=tmp_path / "run", observers=[recorder], note=quiet,
        stop=lambda: len(recorder.of(Evaluated)) == evaluations - 1,
    )  # fmt: skip
    assert half.reason == "interrupted" and half.updates < straight.updates
    loop = open_checkpoint(tmp_path / "run", quiet)[1].table["loop"]
    assert loop["overfits"] == 1 and half.best_step == straight.best_step
    whole = resume(tmp_path / "run", note=quiet)
    assert whole.reason == "stopped early" and whole.updates == straight.updates
    assert whole.held_out.table() == straight.held_out.table()


def test_a_checkpoint_of_before_knows_nothing_of_overfitting(noise):
    result, _ = noise
    _, checkpoint = open_checkpoint(result.directory, quiet)
    loop = checkpoint.table["loop"]
    assert loop["overfits"] == 2 and loop["best_train"] > 0
    old = {key: loop[key] for key in loop if key not in ("overfits", "best_train")}
    known = dataclasses.replace(LoopState.read(loop), overfits=0, best_train=None)
    assert LoopState.read(old) == known
    with pytest.raises(CheckpointError, match="does not hold the state of training"):
        LoopState.read({**loop, "another": 1})


def test_a_run_that_goes_on_ends_with_the_same_best(config, worse, tmp_path):
    asked = iter(range(10**6))
    half = train(
        worse.model.config, out=tmp_path / "run", note=quiet, updates_per_call=25,
        stop=lambda: next(asked) > 13,
    )  # fmt: skip
    whole = resume(tmp_path / "run", note=quiet)
    assert half.reason == "interrupted" and whole.best_step == worse.best_step
    assert whole.held_out.table() == worse.held_out.table()
    assert params(whole.model).tobytes() == params(worse.model).tobytes()
