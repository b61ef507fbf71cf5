"""What is kept, when training stops, and what happens to an update that is not finite."""

import dataclasses
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import LossPlugin, RunConfig, evaluate, hookimpl, load, resume, train
from charrnn_core.errors import OptionError, ResumeError, TrainingError
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.settings import read_settings
from tests.conftest import PLAIN
from tests.event_files import assert_as_logged, scalars
from tests.resuming import quiet, rows


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:8", batch=4, window=8, characters=3000,
        observers="jsonl", sample_length=5, shards=1,
    )  # fmt: skip


def steps(run):
    return [int(path.stem.removeprefix("step-")) for path in RunDirectory(run).saved()]


def evaluated(run):
    return [row["step"] for row in rows(run) if "held_out_nats_per_char" in row]


def test_the_last_the_best_and_every_kth_are_kept(plain, tmp_path):
    changed = dataclasses.replace(plain, keep_last=1, keep_every=3)
    train(changed, out=tmp_path / "run", note=quiet)
    evaluations = evaluated(tmp_path / "run")
    losses = [row["held_out_nats_per_char"] for row in rows(tmp_path / "run")
              if "held_out_nats_per_char" in row]  # fmt: skip
    best = evaluations[int(np.argmin(losses))]
    assert len(evaluations) == 10
    assert set(steps(tmp_path / "run")) == {*evaluations[2::3], best, evaluations[-1]}


def diverging(config, **changes):
    """A training whose learning rate grows until the loss explodes."""
    optimizer = Ref("sgd", "3e4", {"clip": 0, "warmup": 400, "momentum": 0})
    cell = Ref("elman", "8", {"activation": "relu"})
    return dataclasses.replace(config, optimizer=optimizer, cell=cell, **PLAIN, **changes)


def test_patience_stops_early_and_keeps_the_best(plain, tmp_path):
    worse = dataclasses.replace(
        plain, optimizer=Ref("sgd", "30", {"clip": 1}), patience=2, keep_last=1,
        characters=20_000, eval_every=0.05,
    )  # fmt: skip
    result = train(worse, out=tmp_path / "run", note=quiet)
    assert result.reason == "stopped early"
    losses = [row["held_out_nats_per_char"] for row in rows(tmp_path / "run")
              if "held_out_nats_per_char" in row]  # fmt: skip
    assert np.argmin(losses) == len(losses) - 3 and result.held_out.last.nats_per_char == losses[-1]
    assert steps(tmp_path / "run") == [result.best_step, evaluated(tmp_path / "run")[-1]]
    best = evaluate(load(tmp_path / "run"))
    assert best.nats_per_char == pytest.approx(min(losses), rel=1e-6)
    assert best.nats_per_char == result.held_out.nats_per_char
    with pytest.raises(ResumeError, match="was stopped early at update .* such as --epochs"):
        resume(tmp_path / "run", note=quiet)
    assert resume(tmp_path / "run", budget={"characters": 30_000}, note=quiet).reason in (
        "stopped early", "finished",
    )  # fmt: skip


def incidents(run):
    return [json.loads(line) for line in (run / "incidents.jsonl").read_text().splitlines()]


def finite(run):
    _, checkpoint = open_checkpoint(run, quiet)
    assert all(
        np.isfinite(array).all()
        for path, array in checkpoint.arrays.items()
        if path.startswith("params/")
    )
    return checkpoint.table["loop"]


def test_stop_keeps_the_last_finite_state_and_reports(config, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="not finite at update [0-9]+; lower .* is saved"):
        train(diverging(config), out=run, note=quiet)
    loop, [incident] = finite(run), incidents(run)
    assert loop["status"] == "diverged" and incident["step"] == loop["step"] + 1
    assert incident["action"] == "stop" and len(incident["positions"]) == 4
    assert {"readout/kernel", "embedding"} <= incident["gradient_norms"].keys()
    assert not (run / "checkpoints" / f"step-{incident['step']:09d}.crn").exists()
    # The incident happens again from the last finite state, and is logged once more, not twice.
    with pytest.raises(TrainingError):
        resume(run, note=quiet)
    again = incidents(run)
    assert [row["step"] for row in again] == [incident["step"]] * 2


def test_rollback_halves_the_rate_until_it_holds(config, tmp_path):
    notes = []
    rate = {"clip": 0, "warmup": 0, "momentum": 0, "schedule": "constant"}
    changed = diverging(config, non_finite="rollback", patience=9)  # the anchor counts once
    changed = dataclasses.replace(
        changed, optimizer=Ref("sgd", "60", rate), observers="jsonl,tensorboard"
    )
    result = train(changed, out=tmp_path / "run", note=notes.append)
    notes = [line for line in notes if "(auto: " not in line]
    loop = finite(tmp_path / "run")
    assert result.reason == "finished" and 0 < loop["rollbacks"] == len(incidents(tmp_path / "run"))
    assert [row["action"] for row in incidents(tmp_path / "run")] == ["rollback"] * len(notes)
    assert all("rolled back from update" in line for line in notes)
    _, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    assert checkpoint.arrays["scale"] == 0.5 ** loop["rollbacks"]
    found = [row["step"] for row in rows(tmp_path / "run")]
    assert found == sorted(set(found))  # what was logged before rolling back is gone
    assert_as_logged(tmp_path / "run", scalars(tmp_path / "run"))


def poisoned(at):
    """The installed plugins, and a loss that is NaN where the targets are those of one update."""

    def make(options):
        def loss(logits, targets, weights):
            log_p = logits - jnp.log(jnp.sum(jnp.exp(logits), axis=-1, keepdims=True))
            picked = jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
            nats = -jnp.sum(picked * weights) / jnp.sum(weights)
            return jnp.where(jnp.any(jnp.all(targets[:5, 0] == jnp.array(at[:5]))), jnp.nan, nats)

        return loss

    module = types.ModuleType("poison")
    module.charrnn_losses = hookimpl(lambda: [LossPlugin(name="poisoned", target=make)])
    registry = Registry.installed()
    registry.add(lambda: module, "poison")
    return registry


def test_skip_leaves_out_the_update_and_goes_on(config, tmp_path, small_text):
    from charrnn_core.text.alphabet import Alphabet

    ids = Alphabet.of(small_text).encode(small_text).astype(np.int32)
    third = ids[2 * 8 + 1 : 2 * 8 + 9]  # the targets of the first stream's third window
    registry = poisoned(third)
    changed = dataclasses.replace(config, loss=Ref("poisoned"), non_finite="skip", characters=1500)
    result = train(changed, out=tmp_path / "run", registry=registry, note=quiet)
    assert result.reason == "finished"
    assert [row["step"] for row in incidents(tmp_path / "run")][0] == 3
    loop = finite(tmp_path / "run")
    lost = 32 * len(incidents(tmp_path / "run"))
    assert rows(tmp_path / "run")[-1]["characters"] == loop["step"] * 32 - lost


def test_skipping_has_an_end(config, tmp_path):
    with pytest.raises(TrainingError, match="after 20 such updates in a row"):
        train(diverging(config, non_finite="skip"), out=tmp_path / "run", note=quiet)
    assert finite(tmp_path / "run")["status"] == "diverged"


def test_the_end_of_skipping_does_not_depend_on_updates_per_call(config, tmp_path):
    """With good windows after the bad ones: they are not made before the run ends."""
    loops = []
    for per_call in (1, 64):
        out = tmp_path / str(per_call)
        changed = diverging(config, non_finite="skip")
        with pytest.raises(TrainingError):
            train(changed, out=out, updates_per_call=per_call, note=quiet)
        _, checkpoint = open_checkpoint(out, quiet)
        loops.append(finite(out)["step"])
        assert checkpoint.arrays["step"] == loops[-1] == checkpoint.table["step"]
    assert loops[0] == loops[1]


def test_nothing_held_out_means_no_patience_and_nothing_kept(plain, tmp_path):
    notes = []
    changed = dataclasses.replace(plain, split="all", patience=2, keep_every=1, keep_last=1)
    train(changed, out=tmp_path / "run", note=notes.append)
    assert "note: patience has no effect: split 'all' holds nothing out" in notes
    assert len(steps(tmp_path / "run")) == 1


def test_a_run_is_extended(plain, tmp_path):
    train(plain, out=tmp_path / "run", note=quiet)
    with pytest.raises(ResumeError, match="is complete: .* epochs in .* larger total budget"):
        resume(tmp_path / "run", note=quiet)
    with pytest.raises(ResumeError, match="is complete"):
        resume(tmp_path / "run", budget={"characters": 10}, note=quiet)
    before, notes = rows(tmp_path / "run"), []
    result = resume(tmp_path / "run", budget={"epochs": "2"}, note=notes.append)
    lengths = "2 epochs, was 3000 characters"
    assert notes == [f"note: the budget of the whole run is now {lengths}; the schedule adapts"]
    after = rows(tmp_path / "run")
    assert result.reason == "finished" and after[: len(before)] == before
    assert after[-1]["epoch"] == 2 and result.model.config.epochs == 2
    assert "epochs = 2" in (tmp_path / "run" / "config.toml").read_text()


def test_minutes_count_over_all_sittings(plain, tmp_path):
    timed = dataclasses.replace(plain, characters=None, minutes=1000.0)
    train(timed, out=tmp_path / "run", stop=lambda: True, note=quiet)
    path, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    assert 0 < checkpoint.table["loop"]["seconds"] < 600
    loop = {**checkpoint.table["loop"], "seconds": 60_000.0}
    save_checkpoint(path, {**checkpoint.table, "loop": loop}, checkpoint.arrays)
    # The time is used up: one update, so that there is a model, and the last evaluation.
    result = resume(tmp_path / "run", note=quiet)
    assert result.reason == "finished" and result.held_out is not None
    loop = open_checkpoint(tmp_path / "run", quiet)[1].table["loop"]
    assert loop["step"] == 1 and loop["seconds"] >= 60_000.0
    with pytest.raises(ResumeError, match="is complete: .* epochs in 1e.03 minutes"):
        resume(tmp_path / "run", note=quiet)


def test_a_new_training_begins_with_the_parameters_of_another(config, tmp_path, small_text):
    train(config, out=tmp_path / "old", note=quiet)
    old, notes = open_checkpoint(tmp_path / "old", quiet)[1], []
    changed = dataclasses.replace(config, init_from=str(tmp_path / "old"), seed=5)
    train(changed, out=tmp_path / "new", stop=lambda: True, note=notes.append)
    new = open_checkpoint(tmp_path / "new", quiet)[1]
    assert new.table["step"] == 0 and new.table["alphabet"] == old.table["alphabet"]
    for path, array in old.arrays.items():
        if path.startswith("params/"):
            np.testing.assert_array_equal(new.arrays[path], array)
    assert "starting a new training from the parameters" in notes[0] and "resume" in notes[0]
    # Its own text has fewer symbols than the model: that is no change when it goes on.
    (tmp_path / "fewer.txt").write_text(small_text.replace("Dee", "Ann"))
    other = dataclasses.replace(changed, source=str(tmp_path / "fewer.txt"))
    train(other, out=tmp_path / "fewer", stop=lambda: True, note=quiet)
    assert resume(tmp_path / "fewer", note=quiet).reason == "finished"
    (tmp_path / "i.toml").write_text(f'init_from = "{tmp_path / "old"}"')
    assert read_settings(tmp_path / "i.toml", {}, {}).cell.options["features"] == 8
    settings = read_settings(None, {"init_from": str(tmp_path / "old"), "window": "9"}, {})
    assert settings.cell.table() == load(tmp_path / "old").config.cell.table()
    assert (settings.window, settings.batch) == (9, 32)
    like = read_settings(None, {"init_from": str(tmp_path / "old"), "like": "nanogpt"}, {})
    assert (like.cell, like.parameters, like.batch) == (settings.cell, None, 12)
    short = dataclasses.replace(changed, cell=Ref("elman", "9"))
    short = dataclasses.replace(short, source=str(tmp_path / "unread.txt"))
    (tmp_path / "unread.txt").touch()  # told before the text is read
    refused = "old has parameters of the cell elman:8, but the cell to train is elman:9; to start"
    with pytest.raises(OptionError, match=refused):
        train(short, out=tmp_path / "other", note=quiet)
    with pytest.raises(OptionError, match=refused):
        read_settings(None, {"init_from": str(tmp_path / "old"), "cell": "elman:9"}, {})
    read_settings(None, {"init_from": str(tmp_path / "old"), "cell": "elman:8"}, {})
    assert not (tmp_path / "other").exists()
