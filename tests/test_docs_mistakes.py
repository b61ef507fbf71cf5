"""The messages that the pages of the hooks show for common mistakes are what such mistakes give."""

import random
import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from charrnn.cli import cli

from charrnn_core import Corpus, NoOptions, RecipePlugin, hookimpl, opt, testing
from charrnn_core.errors import CharRNNError
from charrnn_core.events import Sampled
from charrnn_core.registry.descriptors import KINDS, CellPlugin
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.training.observers import Observers
from tests.docpages import HOOKS, agrees


def messages(page: Path) -> list[str]:
    """What a page says that one sees: the pieces of code with a blank in them."""
    _, _, section = page.read_text().partition("## Common mistakes")
    rows = re.findall(r"^\| .* \| (.*) \|$", section, re.MULTILINE)
    return [span for row in rows for span in re.findall("`([^`]+)`", row) if " " in span]


def failure(kind: str, component: Any, check: str, registry: Registry | None = None) -> str:
    """What a check says of a component that does not pass it."""
    [outcome] = testing.check(kind, component, only=[check], registry=registry)
    assert outcome.status == "failed", outcome
    return outcome.message


def refusal(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CharRNNError) as raised:
        call(*arguments)
    return str(raised.value)


def offering(kind: str, target: Any, options: type = NoOptions) -> Registry:
    """A registry with the one component `mine`."""

    @hookimpl
    def offer() -> list[Any]:
        descriptor: Any = KINDS[kind]
        return [descriptor(name="mine", target=target, summary="mine", options=options)]

    registry = Registry()
    registry.add(lambda: types.SimpleNamespace(**{KINDS[kind].hook: offer}), "mine")
    return registry


# --- cells ---


def cell(step: Callable[[jax.Array, jax.Array], Any]) -> nn.RNNCellBase:
    """A cell with this step of ``h`` and ``W h + U x + b``."""

    class Broken(nn.RNNCellBase):
        features: int = 8

        @nn.compact
        def __call__(self, h, x):
            U = nn.Dense(self.features, use_bias=False, name="U")
            return step(h, nn.Dense(self.features, name="W")(h) + U(x))

    return Broken()


def both(h: jax.Array) -> Any:
    return h, h


def of_cells() -> Iterator[str]:
    calls = []

    def counting(h: jax.Array, a: jax.Array) -> Any:
        calls.append(None)
        return both(nn.tanh(a + len(calls)))

    for step, check in (
        (lambda h, a: a, "causality"),
        (lambda h, a: both(a.nothing), "initialisation"),
        (lambda h, a: (a.astype(jnp.bfloat16), a), "carry-is-fixed"),
        (lambda h, a: (a, a[0]), "carry-is-fixed"),
        (lambda h, a: both(nn.tanh(a - a.mean(0, keepdims=True))), "rows-are-independent"),
        (counting, "pure"),
        (lambda h, a: both(jnp.exp(a)), "saturation"),
        (lambda h, a: both(nn.tanh(jax.lax.stop_gradient(a))), "every-parameter-learns"),
    ):
        yield failure("cell", cell(step), check)
    heavy = Registry()
    heavy.add(lambda: __import__("mine_is_heavy"), "mine")
    yield failure("cell", "mine", "light-import", heavy)
    yield refusal(CellPlugin(name="mine", target="mine_is_nowhere:Mine").load)
    yield refusal(ugrnn().resolve, "cell", Ref.parse({"use": "ugrnn", "feature": 8}))


def ugrnn() -> Registry:
    @dataclass(frozen=True, kw_only=True)
    class Options:
        features: int = opt(256, help="width")

    @hookimpl
    def offer() -> list[Any]:
        return [CellPlugin(name="ugrnn", target="mine:Mine", options=Options)]

    registry = Registry()
    registry.add(lambda: types.SimpleNamespace(charrnn_cells=offer), "ugrnn")
    return registry


# --- sources ---


def of_sources() -> Iterator[str]:
    once = iter(["ho ho", "ho"])

    def chance(*_: Any) -> str:
        return "".join(random.choices("ho ", k=100))

    def corpus(**how: Any) -> Callable[..., Corpus]:
        return lambda *_: Corpus(name="mine", origin="here", **how)

    def talking(*_: Any) -> Corpus:
        print("downloading")
        return Corpus(text="ho ho", name="mine", origin="here")

    yield failure("source", lambda *_: "ho ho", "gives-a-corpus")
    yield failure("source", lambda *_: corpus(text=chance())(), "same-text-twice")
    yield failure("source", corpus(pieces=(each for each in "ho")), "gives-a-corpus")
    yield failure("source", corpus(pieces=lambda: once), "pieces-join-again")
    yield failure("source", lambda argument, *_: open(argument), "bad-arguments")
    yield failure("source", talking, "prints-nothing")
    yield failure("source", corpus(text="ho \udcff"), "no-lone-surrogates")
    yield failure("source", corpus(text=""), "gives-a-corpus")


# --- losses ---


def nats(logits: Any, targets: Any) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets)


def mean(each: jax.Array, weights: jax.Array) -> jax.Array:
    return jnp.sum(each * weights) / jnp.sum(weights)


def of_losses() -> Iterator[str]:
    def picked(values: Any, targets: Any) -> jax.Array:
        return jnp.take_along_axis(values, targets[..., None], axis=-1)[..., 0]

    for loss, check in (
        (lambda o, t, w: nats(o, t) * w, "one-number"),
        (lambda o, t, w: jnp.mean(nats(o, t)), "padding-counts-for-nothing"),
        (lambda o, t, w: jnp.sum(nats(o, t) * w), "uniform-logits-cost-ln-v"),
        (lambda o, t, w: mean(nats(o, t), w) / jnp.log(2.0), "uniform-logits-cost-ln-v"),
        (lambda o, t, w: mean(-jnp.log(picked(jax.nn.softmax(o), t)), w), "broad-logits"),
        (lambda o, t, w: mean(-picked(jnp.asarray(o), t), w), "constants-change-nothing"),
        (lambda o, t, w: -mean(nats(o, t), w), "likelier-targets-cost-less"),
    ):
        yield failure("loss", loss, check)


# --- samplers ---


class ScalarState:
    def init(self, batch: int) -> jax.Array:
        return jnp.int32(0)

    def __call__(self, key: Any, logits: jax.Array, state: Any) -> Any:
        return logits, state


def shaping(shape: Callable[[jax.Array], jax.Array]) -> Any:
    return lambda key, logits, state: (shape(logits), state)


def of_samplers() -> Iterator[str]:
    def above(logits: jax.Array) -> jax.Array:
        p = jax.nn.softmax(logits)
        return jnp.where(p > jnp.max(p, axis=-1, keepdims=True), logits, -jnp.inf)

    def normalised(logits: jax.Array) -> jax.Array:
        p = jnp.exp(logits)
        return jnp.log(p / jnp.sum(p, axis=-1, keepdims=True))

    def deciding(logits: jax.Array) -> jax.Array:
        return logits / 2 if jnp.max(logits) > 1 else logits

    for shape, check in (
        (lambda logits: jnp.argmax(logits, axis=-1).astype(jnp.int32), "keeps-shape-and-dtype"),
        (lambda logits: logits - jnp.max(logits), "rows-are-independent"),
        (above, "leaves-something"),
        (lambda logits: jnp.maximum(logits, -1e9), "makes-nothing-possible"),
        (normalised, "broad-logits"),
        (deciding, "keeps-shape-and-dtype"),
    ):
        yield failure("sampler", shaping(shape), check)
    yield failure("sampler", ScalarState(), "state-is-fixed")


# --- optimizers ---


@dataclass(frozen=True, kw_only=True)
class Rate:
    learning_rate: float = opt(0.1, help="peak learning rate")


def of_optimizers() -> Iterator[str]:
    def scheduled(options: Any, total_steps: Any) -> Any:
        return optax.sgd(optax.cosine_decay_schedule(options.learning_rate, total_steps))

    def fixed(options: Any, total_steps: Any) -> Any:
        return optax.sgd(0.1)

    def stateless(update: Callable[[jax.Array], jax.Array]) -> Any:
        return optax.stateless(lambda grads, params: jax.tree.map(update, grads))

    counting = optax.GradientTransformation(
        lambda params: {"count": jnp.int32(0)},
        lambda grads, state, params: (grads, {"count": state["count"] + 0.5}),
    )
    in_jit, rate = "length-known-inside-jit", "learning-rate"
    yield failure("optimizer", "mine", in_jit, offering("optimizer", scheduled, Rate))
    yield failure("optimizer", optax.scale(0.1), "minimises-a-quadratic")
    yield failure("optimizer", "mine", rate, offering("optimizer", fixed))
    yield failure("optimizer", "mine", rate, offering("optimizer", fixed, Rate))
    yield failure("optimizer", stateless(lambda g: g / jnp.abs(g)), "zero-gradients")
    yield failure("optimizer", counting, "state-is-fixed")


# --- observers ---


def of_observers() -> Iterator[str]:
    def observer(**methods: Any) -> Any:
        return type("Mine", (), {"__init__": lambda self, options: None, **methods})

    def show(self: Any, event: Any) -> None:
        print(f"{event.held_out_nats_per_char:.3f}")

    def show_safely(self: Any, event: Any) -> None:
        print(event.text.encode("utf-8", "replace").decode())

    hears = {"on_start": lambda self, event: None}
    keeps = {"restore": lambda self, state: None}
    for methods, check in (
        ({"on_evaluation": show}, "methods-are-known"),
        ({"on_step": show}, "hears-a-training"),
        ({"on_end": lambda self, event: self.rows.clear()}, "early-ends"),
        ({**hears, **keeps, "state": lambda self: {"at": Path("here")}}, "state-is-plain"),
        ({**hears, "state": lambda self: {}}, "state-is-plain"),
        ({"on_sample": lambda self, event: print(event.text)}, "any-text"),
        ({"on_sample": show_safely}, "any-text"),
    ):
        yield failure("observer", observer(**methods), check)
    said: list[str] = []
    broken = observer(on_sample=lambda self, event: 1 / 0)(None)
    Observers([], [broken], Registry(), said.append).notify(
        Sampled(step=1, epoch=0.1, prompt="", text="ho")
    )
    yield from said


# --- recipes ---


def of_recipes() -> Iterator[str]:
    for settings, check in (
        ({"optimiser": "adam"}, "known-settings"),
        ({"learning_rate": 1e-3}, "known-settings"),
        ({"cell": "mycell:64"}, "known-settings"),
        ({"sampler": ("temperature:1",)}, "plain-settings"),
        ({"source": "file:/home/me/text"}, "works-anywhere"),
    ):
        yield failure("recipe", RecipePlugin(name="mine", settings=settings), check)
    not_a_table: Any = ["minutes", 1]
    yield refusal(lambda: RecipePlugin(name="mine", settings=not_a_table))


# --- commands ---


def of_commands(folder: Path) -> Iterator[str]:
    def said() -> str:
        return click.testing.CliRunner().invoke(cli, ["weights"]).output

    yield said()
    info = folder / "charrnn_weights-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: charrnn-weights\nVersion: 0.1.0\n")
    for entry in ("mine_is_heavy", "mine_is_nowhere.command:weights"):
        (info / "entry_points.txt").write_text(f"[charrnn.commands]\nweights = {entry}\n")
        yield said()


@pytest.mark.parametrize("page", HOOKS, ids=lambda page: page.stem)
def test_a_mistake_gives_the_message_that_its_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_is_heavy.py").write_text(
        "import flax\n"
        "from charrnn_core import CellPlugin, hookimpl\n"
        "@hookimpl\n"
        "def charrnn_cells():\n"
        "    yield CellPlugin(name='mine', target='mine:Mine', summary='mine')\n"
    )
    mistakes = globals()[f"of_{page.stem}"]
    given = list(mistakes(tmp_path) if page.stem == "commands" else mistakes())
    shown = messages(page)
    assert shown
    for message in shown:
        assert any(agrees(f"...{message}...", got) for got in given), f"{message}\n{given}"
    for got in given:
        assert any(agrees(f"...{message}...", got) for message in shown), got
