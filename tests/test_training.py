"""Training: the update, many updates in one call, the loop and its budgets."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from charrnn_core import RunConfig, train
from charrnn_core.cell import as_cell
from charrnn_core.errors import (
    CharRNNError,
    CorpusError,
    OptionError,
    StorageError,
    TrainingError,
)
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.row import Row
from charrnn_core.events import Ended, Evaluated, Sampled, Saved, Started, Stepped
from charrnn_core.network.network import Dropouts, Network
from charrnn_core.randomness import random_key
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.schedules import constant, cosine, exponential, linear
from charrnn_core.training.batches import Streams, stack_batches
from charrnn_core.training.loop import TrainingLoop
from charrnn_core.training.observers import Observers
from charrnn_core.training.policy import Budget, Policy
from charrnn_core.training.trained import Trained
from charrnn_core.training.update import Trainer
from tests.agreement import agree
from tests.recorder import Recorder

B, T, V = 3, 4, 6
ROW = Row(name="model", nats_per_char=1.0)


def make_trainer(registry, total_steps=100, make_optimizer=None) -> Trainer:
    cell = registry.build_cell(Ref("elman", "5"), as_cell)
    loss = registry.load("loss", Ref("crossentropy"))(None)
    make = make_optimizer or (lambda total: optax.adam(cosine(0.01, total)))
    return Trainer(Network(cell, symbols=V), loss, make, streams=B, total_steps=total_steps)


@pytest.fixture(scope="module")
def timed(registry) -> Trainer:
    """A trainer for a budget of time: it keeps the programs that it has compiled."""
    return make_trainer(registry, total_steps=None)


def make_batches(length=100) -> Streams:
    ids = np.random.default_rng(0).integers(V, size=length).astype(np.int32)
    return Streams(ids, streams=B, window=T)


def advance(trainer, batches, counts, room):
    """The state and losses after calls of these many updates."""
    state = trainer.init()
    call = trainer.compile(room, T)
    step, losses = 0, []
    for count in counts:
        stacked = stack_batches(batches, step, count, room)
        state, told = call(state, stacked, np.int32(count), np.int32(100))
        losses += np.asarray(told.nats)[:count].tolist()
        step += count
    return state, losses


def test_one_update_is_one_step_of_the_optimizer(registry):
    trainer, batches = (
        make_trainer(registry, make_optimizer=lambda total: optax.sgd(0.1)),
        make_batches(),
    )
    before = jax.tree.map(np.asarray, trainer.init())
    state, [loss] = advance(trainer, batches, [1], room=1)
    batch = batches.batch(0, 0)

    def nats(params):
        logits, carry = trainer.network.unroll(params, before.carry, batch.inputs)
        log_p = jax.nn.log_softmax(logits)
        picked = jnp.take_along_axis(log_p, batch.targets[..., None], axis=-1)[..., 0]
        return -jnp.sum(picked * batch.weights) / jnp.sum(batch.weights), carry

    (expected, carry), grads = jax.jit(jax.value_and_grad(nats, has_aux=True))(before.params)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(state.carry, carry, rtol=1e-5, atol=1e-6)
    stepped = jax.tree.map(lambda old, grad: old - 0.1 * grad, before.params, grads)
    for new, leaf in zip(jax.tree.leaves(state.params), jax.tree.leaves(stepped), strict=True):
        np.testing.assert_allclose(new, leaf, rtol=1e-4, atol=1e-6)


def test_updates_per_call_do_not_change_a_bit(registry):
    trainer, batches = make_trainer(registry), make_batches()
    one, losses = advance(trainer, batches, [20], room=20)
    for counts, room in (([1] * 20, 1), ([7, 6, 7], 7), ([3, 17], 32)):
        other, again = advance(trainer, batches, counts, room)
        assert again == losses
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), one, other)


def test_the_average_follows_the_parameters(registry):
    plain, batches = make_trainer(registry), make_batches()
    trainer = dataclasses.replace(plain, average=0.8)
    expected = None
    for n in range(12):
        state, _ = advance(trainer, batches, [n + 1], room=12)
        params = jax.tree.map(np.asarray, state.params)
        before = jax.tree.map(np.asarray, trainer.init().params)
        decay = min(0.8, (1 + n) / (10 + n))
        expected = jax.tree.map(
            lambda old, new, d=decay: d * old + (1 - d) * new, expected or before, params
        )
        agree(state.average, expected, 1e-5)
        assert state.learnt is state.average
    other, _ = advance(plain, batches, [12], room=12)
    agree(other.params, params, 1e-6)
    assert other.average is None and other.learnt is other.params


def test_what_is_dropped_depends_on_the_seed_and_the_update(registry):
    plain, batches = make_trainer(registry), make_batches()
    network = dataclasses.replace(plain.network, dropouts=Dropouts(output=0.5))
    rates = [
        advance(dataclasses.replace(plain, network=network, seed=seed), batches, [3], room=3)[1]
        for seed in (0, 0, 1)
    ]
    assert rates[0] == rates[1] != rates[2]
    still = dataclasses.replace(plain, make_optimizer=lambda total: optax.sgd(0.0))
    noisy = dataclasses.replace(still, network=network)
    state = noisy.init()
    batch = jax.tree.map(jnp.asarray, batches.batch(0, 0))
    first, second = (
        jax.jit(noisy.window_loss.objective)(
            state.params, state.carry, batch, random_key(0, "dropout", step)
        )[0]
        for step in (0, 1)
    )
    assert first != second


def watch(trainer, batches, budget, evaluate=None, policy=Policy(), **host):  # noqa: B008
    """The events of a training without files."""
    given = dict(
        evaluate=evaluate or (lambda params: None), sample=lambda state: "",
        save=lambda state, loop: Path("x"), should_stop=lambda: False,
        seconds_to_close=lambda loop, each: 0.0, begin_updates=lambda: None,
    )  # fmt: skip
    training = TrainingLoop(
        trainer=trainer, state=trainer.init(), loop=LoopState(),
        batching=batches, window=T, budget=budget, policy=policy,
        host=SimpleNamespace(**given | host),
    )  # fmt: skip
    return list(training.events())


def test_a_padded_window_weighs_by_its_characters(registry):
    seen = []
    trainer = make_trainer(registry)
    batches = make_batches(length=2 * T * B + 1 + B)  # the third window has one character a stream
    state = trainer.init()
    for i in (0, 2):
        batch = jax.tree.map(jnp.asarray, batches.batch(0, i))
        scaled, (_, nats) = jax.jit(trainer.window_loss.objective)(
            state.params, state.carry, batch, jax.random.key(0)
        )
        seen.append(float(scaled / nats))
    assert seen == [1.0, 1 / T]


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:16", batch=4, window=16, characters=20_000,
        observers="jsonl", sample_length=20,
    )  # fmt: skip


def rows_of(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    recorder = Recorder()
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(config, out=out, observers=[recorder]), recorder


def test_it_learns_and_says_so(trained, small_text):
    result, recorder = trained
    steps, evals = recorder.of(Stepped), recorder.of(Evaluated)
    assert steps[-1].train_nats_per_char < 1.5 < 3 < steps[0].train_nats_per_char + 1
    assert evals[-1].nats_per_char == result.held_out.nats_per_char < evals[0].nats_per_char
    assert len(evals) == len(recorder.of(Sampled)) == 10
    assert len(recorder.of(Saved)) == 11  # one before the first update
    assert [type(recorder.events[0]), type(recorder.events[-1])] == [Started, Ended]
    assert steps[-1].progress == 1.0 and steps[-1].seconds_left == 0.0
    assert recorder.of(Ended)[0].reason == result.reason == "finished"
    assert all(len(event.text) == 20 for event in recorder.of(Sampled))


def test_the_metrics_log_counts_every_character(trained, small_text):
    result, recorder = trained
    rows = rows_of(result.directory)
    keys = {"step", "epoch", "characters", "train_nats_per_char", "characters_per_second"}
    assert all(keys <= row.keys() for row in rows)
    assert [row["held_out_nats_per_char"] for row in rows if "held_out_nats_per_char" in row] == [
        event.nats_per_char for event in recorder.of(Evaluated)
    ]
    per_epoch = int(len(small_text) * 0.9) - 1
    for row in rows:
        if row["epoch"] == int(row["epoch"]):
            assert row["characters"] == row["epoch"] * per_epoch
    assert any(row["epoch"] == int(row["epoch"]) for row in rows)


def test_the_run_directory_is_complete(trained, config):
    directory = trained[0].directory
    assert {item.name for item in directory.iterdir()} == {
        "asked.toml",
        "config.toml",
        "metrics.jsonl",
        "samples.jsonl",
        "evaluation.json",
        "checkpoints",
        ".lock",
    }
    assert len(list((directory / "checkpoints").iterdir())) == 2
    assert 'use = "elman"\nfeatures = 16\n' in (directory / "config.toml").read_text()


def test_the_seed_decides_everything(config, trained, tmp_path):
    again = train(config, out=tmp_path / "again")
    other = train(dataclasses.replace(config, seed=1), out=tmp_path / "other")

    def losses(result):
        return [row["train_nats_per_char"] for row in rows_of(result.directory)]

    assert losses(again) == losses(trained[0]) != losses(other)


@pytest.mark.slow
def test_minutes_are_kept_and_the_schedule_ends_with_them(plain, tmp_path, registry):
    rates = []

    def watched(options, total_steps):
        assert not isinstance(total_steps, int) or total_steps == 1
        rate = cosine(0.01, total_steps, final=0.0)
        return optax.sgd(lambda count: jax.debug.callback(rates.append, rate(count)) or rate(count))

    import types

    from charrnn_core import OptimizerPlugin, hookimpl
    from charrnn_core.registry.registry import Registry

    module = types.ModuleType("watched")
    module.charrnn_optimizers = hookimpl(lambda: [OptimizerPlugin(name="watched", target=watched)])
    mine = Registry.installed()
    mine.add(lambda: module, "watched")
    timed = dataclasses.replace(plain, characters=None, minutes=0.03, optimizer=Ref("watched"))
    # On a busy machine it takes longer than that to compile.
    result = train(timed, out=tmp_path / "run", registry=mine, from_first_update=True)
    assert result.reason == "finished"
    assert float(rates[-1]) < 0.1 * float(rates[0])


def test_a_schedule_that_needs_a_number_is_told_apart(plain, tmp_path):
    import types

    from charrnn_core import OptimizerPlugin, hookimpl
    from charrnn_core.registry.registry import Registry

    module = types.ModuleType("stiff")
    module.charrnn_optimizers = hookimpl(
        lambda: [
            OptimizerPlugin(
                name="stiff",
                target=lambda options, total: optax.adam(optax.cosine_decay_schedule(0.1, total)),
            )
        ]
    )
    mine = Registry.installed()
    mine.add(lambda: module, "stiff")
    stiff = dataclasses.replace(plain, optimizer=Ref("stiff"))
    assert train(stiff, out=tmp_path / "a", registry=mine).reason == "finished"
    timed = dataclasses.replace(stiff, characters=None, minutes=0.1)
    with pytest.raises(
        CharRNNError, match="optimizer 'stiff' .* use --epochs instead of --minutes"
    ):
        train(timed, out=tmp_path / "b", registry=mine)


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "adamw", "rmsprop", "sgd:0.5", "muon"])
def test_every_optimizer_learns(config, tmp_path, optimizer):
    recorder = Recorder()
    ref = Ref.parse(optimizer).with_options({"warmup": 5})
    settings = dataclasses.replace(config, optimizer=ref, characters=8_000, observers=())
    train(settings, out=tmp_path / "run", observers=[recorder])
    evals = recorder.of(Evaluated)
    assert evals[-1].nats_per_char < evals[0].nats_per_char < math.log(40)


def test_clipping_bounds_the_update(registry):
    options = registry.options(
        "optimizer", Ref("sgd", "1", {"momentum": 0, "clip": 0.5, "warmup": 0})
    )
    optimizer = registry.load("optimizer", Ref("sgd"))(options, 10)
    grads = {"w": jnp.full(4, 10.0)}
    updates, _ = optimizer.update(grads, optimizer.init(grads), grads)
    np.testing.assert_allclose(np.linalg.norm(updates["w"]), 0.5, rtol=1e-6)


def test_linear_and_exponential_schedules():
    """Against NumPy, also for a number of updates that is only known inside jit."""
    n, peak, total, warmup, final = np.arange(130), 0.3, 120, 7, 0.2
    ramp = np.minimum(1, (n + 1) / (warmup + 1))
    p = np.clip((n - warmup) / (total - warmup), 0, 1)
    falls = {
        "linear": 1 - 0.8 * p,
        "exponential": final**p,
        "held": final ** np.maximum(0, (p - 0.3) / 0.7),
        "stairs": final ** np.maximum(0, (np.floor(p * 5) / 5 - 0.3) / 0.7),
    }
    rates = {
        "linear": lambda total: linear(peak, total, warmup, final),
        "exponential": lambda total: exponential(peak, total, warmup, final),
        "held": lambda total: exponential(peak, total, warmup, final, hold=0.3),
        "stairs": lambda total: exponential(peak, total, warmup, final, hold=0.3, stairs=5),
    }
    for name, fall in falls.items():
        for steps in (total, jnp.int32(total)):
            got = rates[name](steps)(jnp.asarray(n))
            np.testing.assert_allclose(got, peak * ramp * fall, rtol=1e-5, err_msg=name)


def test_an_exponential_cannot_end_at_nothing(registry):
    """Its rate would be 0 from the second update on, and nothing would be learnt."""
    ref = Ref("adam", None, {"final": 0})
    assert registry.options("optimizer", ref).final == 0
    with pytest.raises(OptionError, match="optimizer 'adam': final is 0, .* schedule=linear"):
        registry.options("optimizer", ref.with_options({"schedule": "exponential"}))


def test_schedules():
    rate = cosine(2.0, total_steps=101, warmup=1, final=0.1)
    assert [round(float(rate(jnp.int32(n))), 4) for n in (0, 1, 51, 101, 500)] == [
        1.0,
        2.0,
        1.1,
        0.2,
        0.2,
    ]
    traced = jax.jit(lambda total: cosine(2.0, total, warmup=1, final=0.1)(jnp.int32(51)))
    assert float(traced(jnp.int32(101))) == pytest.approx(1.1)
    assert float(constant(0.5)(jnp.int32(0))) == 0.5


def test_the_loop_stops_when_asked(plain, tmp_path):
    recorder = Recorder()
    result = train(plain, out=tmp_path / "run", observers=[recorder], stop=lambda: True)
    assert result.reason == recorder.of(Ended)[0].reason == "interrupted"
    assert recorder.of(Ended)[0].step == 0 and {e.step for e in recorder.of(Saved)} == {0}


def test_a_loss_that_is_not_finite_ends_training(registry, plain, tmp_path):
    diverging = dataclasses.replace(
        plain,
        optimizer=Ref("sgd", "1e30", {"clip": 0, "warmup": 0}),
        cell=Ref("elman", "16", {"activation": "relu"}),
    )
    with pytest.raises(TrainingError, match="gradient is not finite at update 2; lower"):
        train(diverging, out=tmp_path / "run")


def test_an_observer_that_raises_is_left_out(plain, tmp_path):
    class Bad:
        calls = 0

        def on_step(self, event):
            self.calls += 1
            raise ValueError("oops")

    bad, notes = Bad(), []
    result = train(plain, out=tmp_path / "run", observers=[bad], note=notes.append)
    assert result.reason == "finished" and bad.calls == 1
    [note] = [line for line in notes if "(auto: " not in line]
    assert re.fullmatch(r"observer Bad failed and was removed: \S+\.py:\d+: ValueError: oops", note)


def test_an_observer_that_cannot_remember_is_left_out():
    class Forgetful:
        def state(self):
            raise ValueError("oops")

        def restore(self, state):
            raise KeyError("bytes")

    notes = []
    found = SimpleNamespace(
        load=lambda kind, ref: lambda options: Forgetful(), options=lambda kind, ref: None
    )
    for call in (Observers.states, lambda audience: audience.restore({"bad": {}})):
        audience = Observers([Ref("bad")], [], found, notes.append)
        call(audience)
        assert audience.states() == {}
    for note, error in zip(notes, ("ValueError: oops", "KeyError: 'bytes'"), strict=True):
        place = r"observer Forgetful failed and was removed: \S+\.py:\d+: "
        assert re.fullmatch(place + re.escape(error), note)


def test_short_texts_shrink_the_geometry(tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("ho ho ho, he he he, ha ha ha. " * 3)
    recorder = Recorder()
    settings = RunConfig(
        source=str(text), cell="elman:4", characters=400, observers=(), context=0, counts=0,
        dropout_output=0.2, dropout_context=0, dropout_rare=0,
    )  # fmt: skip
    result = train(settings, out=tmp_path / "run", observers=[recorder])
    [started] = recorder.of(Started)
    assert started.notes == ("batch is 1 instead of 32: the training text has 81 characters",)
    assert (result.model.config.batch, result.model.config.window) == (1, 64)
    text.write_text("abcdefgh")
    with pytest.raises(CorpusError, match="has 7 characters; expected at least 9, for one window"):
        train(settings, out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_carry_starts_afresh_with_every_epoch(registry):
    trainer = make_trainer(registry, make_optimizer=lambda total: optax.sgd(0.0))
    batches = make_batches(length=2 * T * B + 1)
    _, losses = advance(trainer, batches, [2, 2], room=2)
    assert losses[:2] == losses[2:]  # nothing is learnt, so a second epoch repeats the first


def adamw_by_hand(g, n, m, v, w):
    """The step of AdamW after n gradients, the last of which is g; `nadam_by_hand`: of NAdam."""
    return m / (1 - 0.8**n) / (np.sqrt(v / (1 - 0.7**n)) + 1e-8) + 0.1 * w


def nadam_by_hand(g, n, m, v, w):
    ahead = 0.8 * m / (1 - 0.8 ** (n + 1)) + 0.2 * g / (1 - 0.8**n)
    return ahead / (np.sqrt(v / (1 - 0.7**n)) + 1e-8)


@pytest.mark.parametrize(
    ("name", "by_hand", "own"),
    [("adamw", adamw_by_hand, {"weight_decay": 0.1}), ("nadam", nadam_by_hand, {})],
)
def test_an_optimizer_is_its_formula(registry, name, by_hand, own):
    values = {"warmup": 0, "clip": 0, "schedule": "constant", "b1": 0.8, "b2": 0.7, **own}
    options = registry.options("optimizer", Ref(name, "0.5", values))
    optimizer = registry.load("optimizer", Ref(name))(options, 10)
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    params = jnp.asarray(w, jnp.float32)
    state = optimizer.init(params)
    for n, g in enumerate(([0.3, -4.0], [1.0, 0.5]), start=1):
        grad = np.array(g)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(jnp.asarray(grad, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
        m, v = 0.8 * m + 0.2 * grad, 0.7 * v + 0.3 * grad**2
        w = w - 0.5 * by_hand(grad, n, m, v, w)
        np.testing.assert_allclose(params, w, rtol=1e-5, atol=1e-6)  # float32 near zero


class Clock:
    """A clock that goes on by 0.05 s with each device call, and whenever a test says so."""

    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        self.now += 1e-4
        return self.now

    def pass_time(self):
        self.now += 0.05
        return False


@pytest.mark.parametrize(
    ("each", "fewest", "most"), [(0.05, 9, 10), (0.3, 5, 7), (1.0, 3, 4)], ids=str
)
def test_evaluations_have_a_budget(timed, each, fewest, most):
    """The dearer they are, the fewer; the first may include compilation and does not count."""
    trainer, batches = timed, make_batches()
    clock, calls, closing = Clock(), [], 0.3

    def evaluate(params):
        clock.now += 5.0 if not calls else each
        calls.append(clock.now)
        return ROW

    events = watch(
        trainer, batches, Budget(None, 0.0, deadline=40.0, clock=clock), evaluate,
        seconds_to_close=lambda loop, each: closing, should_stop=clock.pass_time,
    )  # fmt: skip
    steps = [event for event in events if isinstance(event, Stepped)]
    assert fewest <= len(calls) <= most, calls
    assert steps[-1].step > 100 and steps[-1].held_out_nats_per_char == 1.0
    assert 38 < clock.now + closing < 40.5  # what comes after the last update has its time
    spent = steps[-1].spent
    assert spent.evaluation == pytest.approx(5.0 + each * (len(calls) - 1), abs=0.2)
    assert spent.total == pytest.approx(clock.now, abs=0.5)


@pytest.mark.parametrize(("start_up", "evaluations"), [(15.0, 8), (5.999, 9)])
def test_nothing_is_evaluated_after_the_first_update(timed, start_up, evaluations):
    """Not even if the first tenth of the time ends before or during it."""
    trainer, batches = timed, make_batches()
    clock, seen = Clock(start_up), []
    budget = Budget(None, 0.0, deadline=60.0, clock=clock)
    for event in watch(trainer, batches, budget, lambda params: ROW, should_stop=clock.pass_time):
        if isinstance(event, Stepped) and event.held_out_nats_per_char is not None:
            assert event.step > 1
            seen.append(event.progress)
    assert seen[0] > 0.2 and len(seen) == evaluations


def test_intervals_that_are_asked_for_are_kept(timed):
    """However little time is left for them."""
    trainer, batches, clock = timed, make_batches(), Clock()

    def evaluate(params):
        clock.now += 3.0
        return ROW

    events = watch(
        trainer, batches, Budget(None, 0.0, deadline=60.0, clock=clock), evaluate,
        policy=Policy(eval_interval=7, sample_interval=5), should_stop=clock.pass_time,
    )  # fmt: skip
    evaluated = [event.step for event in events if isinstance(event, Evaluated)]
    sampled = [event.step for event in events if isinstance(event, Sampled)]
    assert len(evaluated) > 5 and {step % 7 for step in evaluated[:-1]} == {0}
    assert {step % 5 for step in sampled[:-1]} == {0} and len(sampled) > len(evaluated)


def test_nothing_held_out(plain, tmp_path):
    result = train(dataclasses.replace(plain, split="all"), out=tmp_path / "run")
    assert result.held_out is None
    assert not any("held_out_nats_per_char" in row for row in rows_of(result.directory))


def test_the_notebook_recipe(text_file, tmp_path):
    values = {"recipe": "notebook", "source": str(text_file), "cell": "elman:8", "epochs": "20"}
    recorder = Recorder()
    settings = dataclasses.replace(RunConfig.read(values), observers=parse("jsonl"), stretch=640)
    result = train(settings, out=tmp_path / "run", observers=[recorder])
    assert result.model.config.batch == 1
    samples = recorder.of(Sampled)
    assert [event.epoch for event in samples] == [10.0, 20.0]
    assert all(len(event.text) == 50 for event in samples)
    assert rows_of(result.directory)[-1]["characters"] == 20 * 640


def parse(spec):
    return (Ref.parse(spec),)


def test_a_full_disk_ends_the_run_with_one_error(plain, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        train(plain, out=tmp_path / "run")


def test_devices_share_the_streams(tmp_path, text_file):
    """The batch axis over a mesh of 1, 2 and 4 devices: the same losses to rounding."""
    program = f"""
import jax, json, sys
from charrnn_core import RunConfig, train
config = RunConfig(source={str(text_file)!r}, cell="stacked:elman:8*2", batch=64, window=8,
                   characters=8000, observers="jsonl")
train(config, out=sys.argv[1])
print(len(jax.devices()))
"""
    losses = []
    for count in (1, 2, 4):
        out = tmp_path / str(count)
        env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(count)}
        done = subprocess.run(
            [sys.executable, "-c", program, out], capture_output=True, text=True, env=env
        )
        assert done.stdout.strip() == str(count), done.stderr
        losses.append([row["train_nats_per_char"] for row in rows_of(out)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-4)


def test_the_loop_reads_its_clock(timed):
    """With a clock that jumps, training ends at the deadline and estimates the updates."""
    trainer, batches = timed, make_batches()
    times = iter(np.arange(0, 1000, 0.01))
    budget = Budget(None, started=0.0, deadline=20.0, clock=lambda: float(next(times)))
    events = watch(trainer, batches, budget)
    steps = [event for event in events if isinstance(event, Stepped)]
    assert steps[-1].progress > 0.9 and steps[-1].seconds_left == 0
    assert len([event for event in events if isinstance(event, Sampled)]) >= 8


def test_a_model_that_was_better_before_is_told_of(tmp_path):
    about = {"characters": 9, "split": "last-10%", "part": "valid"}
    for best, told in ((1.49, False), (1.48, True)):
        held_out = Evaluation(model=Row(name="model", nats_per_char=1.495), **about)
        trained = Trained(None, tmp_path, held_out, "finished", best_step=5, best=best)
        lines = "\n".join(trained.lines())
        note = "note: the training has been overfitting since update 5 (1.4800 nats): train less"
        assert (note in lines) == told
