"""What a program or a notebook gives as objects: cells, texts, samplers and losses."""

import os
import signal
import threading
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import (
    Corpus,
    RunConfig,
    SourcePlugin,
    generate,
    load,
    resume,
    score,
    train,
)
from charrnn_core.errors import CharRNNError, PluginError, ResumeError, RunDirectoryError
from charrnn_core.training.fitting import note_fewer_devices

TEXT = "the quick brown fox\njumps over the lazy dog\n" * 40
SMALL = {"context": 0, "counts": 0, "batch": 2, "window": 8, "observers": ("jsonl",),
         "characters": 640, "sample_length": 5, "embedding": 4}  # fmt: skip


class Leaky(nn.RNNCellBase):
    """As a notebook has it."""

    features: int
    rate: float = 0.9

    @nn.compact
    def __call__(self, h, x):
        h = self.rate * h + nn.tanh(nn.Dense(self.features)(x) + nn.Dense(self.features)(h))
        return h, h


@dataclass(frozen=True)
class Plain:
    """A `Cell` that is no module."""

    features: int = 3

    def init(self, key, in_features):
        return {"U": jax.random.normal(key, (in_features, self.features))}

    def initial_carry(self, params, input_shape):
        return jnp.zeros((input_shape[0], self.features))

    def step(self, params, h, x):
        h = 0.5 * h + x @ params["U"]
        return h, h


def very_best(key, logits, state=None):
    best = jnp.max(logits, axis=-1, keepdims=True)
    return jnp.where(logits == best, logits, -jnp.inf), state


def twice_the_nats(logits, targets, weights):
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    return 2 * jnp.sum(nats * weights) / jnp.sum(weights)


def quietly(lines):
    return {"note": lines.append}


@pytest.mark.parametrize(
    "cell, plugins, options",
    [
        (Leaky(5), [Leaky], {"features": 5, "rate": 0.9}),
        ("leaky:5", [Leaky], {"features": 5, "rate": 0.9}),
        (Plain(4), [Plain], {"features": 4}),
        (Plain, [Plain], {"features": 3}),
    ],
    ids=["linen", "named", "cell", "class"],
)
def test_a_cell_of_this_program(tmp_path, cell, plugins, options):
    lines = []
    config = RunConfig(cell=cell, source=TEXT, **SMALL)
    given = plugins if isinstance(cell, str) else []
    trained = train(config, out=tmp_path / "run", plugins=given, **quietly(lines))
    assert dict(trained.model.config.cell.options) == options
    name = plugins[0].__name__
    assert any(f"load(run, plugins=[{name}])" in line for line in lines), lines
    model = load(tmp_path / "run", plugins=plugins)
    assert generate(model, "the ", length=9) == generate(trained.model, "the ", length=9)
    if not isinstance(cell, str):  # the object that it was trained with does as well
        again = load(tmp_path / "run", plugins=[cell])
        assert generate(again, "the ", length=9) == generate(model, "the ", length=9)
    with pytest.raises(PluginError, match=rf"give it again: plugins=\[{name}\]; .*--plugin FILE"):
        load(tmp_path / "run")
    assert [row["step"] for row in trained.history][-1] == trained.updates


def test_resuming_is_exact(tmp_path):
    config = RunConfig(cell=Leaky(5), source=TEXT, seed=3, **SMALL)
    whole = train(config, out=tmp_path / "whole", **quietly([]))
    calls = iter(range(100))
    train(config, out=tmp_path / "part", stop=lambda: next(calls) >= 3, updates_per_call=2)
    with pytest.raises(PluginError, match=r"cell 'leaky' .*give it again: plugins=\[Leaky\]"):
        resume(tmp_path / "part")
    part = resume(tmp_path / "part", plugins=[Leaky], **quietly([]))
    assert part.updates == whole.updates and part.reason == "finished"
    jax.tree.map(np.testing.assert_array_equal, part.model.params, whole.model.params)
    assert [row["step"] for row in part.history] == sorted({row["step"] for row in part.history})


def test_a_cell_that_has_changed_is_refused(tmp_path):
    calls = iter(range(100))
    train(RunConfig(cell=Leaky(5), source=TEXT, **SMALL), out=tmp_path / "run",
          stop=lambda: next(calls) >= 1, updates_per_call=1, **quietly([]))  # fmt: skip

    other = type("Leaky", (Leaky,), {"__call__": lambda self, h, x: (h, h), "__annotations__": {}})
    with pytest.raises(ResumeError, match="the provider of cell 'leaky' has changed"):
        resume(tmp_path / "run", plugins=[other], **quietly([]))


def test_losses_samplers_and_optimizers(tmp_path):
    import optax

    parts = {"loss": twice_the_nats, "sampler": very_best, "optimizer": optax.adam(1e-2)}
    config = RunConfig(cell="elman:4", source=TEXT, **parts, **SMALL)
    trained = train(config, out=tmp_path / "run", **quietly([]))
    uses = trained.model.config.loss.use, trained.model.config.sampler[0].use
    assert uses == ("twice_the_nats", "very_best")
    model = load(tmp_path / "run", plugins=[very_best])
    assert generate(model, "the ", seed=1) == generate(model, "the ", seed=2)
    with pytest.raises(PluginError, match=r"sampler 'very_best' .*plugins=\[very_best\]"):
        generate(load(tmp_path / "run"), "the ")


def test_texts_of_this_program(tmp_path):
    config = RunConfig(cell="elman:4", source=["ho ho", "ha ha ha"] * 60, **SMALL)
    trained = train(config, out=tmp_path / "run", **quietly([]))
    assert trained.model.config.documents == "lines"
    bits = [scored.bits for scored in score(trained.model, "ho ha", **quietly([]))]
    assert len(bits) == 5 and min(bits) > 0
    assert (tmp_path / "run/kept-text.txt").read_text().startswith("ho ho\nha ha ha\n")
    with pytest.raises(CharRNNError, match="a text and also the source"):
        score(trained.model, "ho", source="python-docs")


def test_a_source_of_this_program(tmp_path):
    made = SourcePlugin(
        name="foxes",
        target=lambda argument, options, context: Corpus(text=TEXT, name="foxes", origin="here"),
    )
    config = RunConfig(cell="elman:4", source="foxes", **SMALL)
    trained = train(config, plugins=[made], out=tmp_path / "run", **quietly([]))
    assert trained.model.table["corpus"]["name"] == "foxes"


@pytest.mark.slow
def test_overwriting(tmp_path):
    config, out = RunConfig(cell="elman:4", source=TEXT, **SMALL), tmp_path / "run"
    train(config, out=out, **quietly([]))
    with pytest.raises(RunDirectoryError, match="already holds a run") as refused:
        train(config, out=out)
    assert "--out" not in str(refused.value)
    before = sorted((out / "checkpoints").iterdir())
    with pytest.raises(CharRNNError):
        wrong = RunConfig(cell="elman:4", source=Corpus(text="aa", name="a", origin="a"), **SMALL)
        train(wrong, out=out, overwrite=True, **quietly([]))
    assert sorted((out / "checkpoints").iterdir()) == before, "a run is lost for nothing"
    again = RunConfig(cell="gru:4", source=TEXT, **SMALL)
    train(again, out=out, overwrite=True, **quietly([]))
    assert load(out).config.cell.use == "gru" and os.listdir(tmp_path) == ["run"]


class Interrupting:
    def on_step(self, event):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_returns_what_there_is(tmp_path):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    long = {**SMALL, "characters": 10**9}
    config = RunConfig(cell="elman:4", source=TEXT, **long)
    trained = train(config, out=tmp_path / "run", observers=[Interrupting()],
                    updates_per_call=2, **quietly([]))  # fmt: skip
    assert trained.reason == "interrupted" and trained.updates > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fewer_devices_than_the_command_line_are_told(monkeypatch):
    lines = []
    monkeypatch.setattr("charrnn_core.training.fitting.cores_to_use", lambda: 64)
    note_fewer_devices(RunConfig(batch=64), lines.append, {})
    assert len(lines) == 1 and "JAX_NUM_CPU_DEVICES=16" in lines[0]
    note_fewer_devices(RunConfig(batch=64, shards=1), lines.append, {})
    note_fewer_devices(RunConfig(batch=64), lines.append, {"JAX_NUM_CPU_DEVICES": "1"})
    assert len(lines) == 1


def test_training_in_a_thread(tmp_path):
    """Signals are the main thread's."""
    found = []
    config = RunConfig(cell="elman:4", source=TEXT, **SMALL)
    run = lambda: found.append(train(config, out=tmp_path / "run", **quietly([])))  # noqa: E731
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found[0].reason == "finished"
