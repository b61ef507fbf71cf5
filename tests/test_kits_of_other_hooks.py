"""The kits for sources, losses, samplers, optimizers, observers and recipes.

Every built-in plugin passes, and for each check a component that is broken in this respect alone is
caught by this check alone, with a message that names the fault.
"""

import contextlib
import itertools
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from charrnn_core import (
    Corpus,
    OptimizerPlugin,
    RecipePlugin,
    SourceError,
    SourcePlugin,
    hookimpl,
    opt,
)
from charrnn_core.registry.registry import Registry
from charrnn_core.testing import CheckFailed, check, check_sampler, parametrize_checks

EXAMPLE = Path(__file__).parents[1] / "examples" / "charrnn-irnn"


def is_traced(array: Any) -> bool:
    return isinstance(array, jax.core.Tracer)


def called(value: Any) -> str | None:
    """What a test's id says of an argument."""
    if isinstance(value, list):
        return ""
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def expect(kind: str, component: Any, culprit: str, *parts: str, **settings: Any) -> None:
    """Only this check finds fault with a component, and its message has these parts."""
    # As in a program of a plugin's author; the other tests' JAX is stricter.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        outcomes = list(check(kind, component, **settings))
    bad = {outcome.check: outcome.message for outcome in outcomes if not outcome.good}
    assert list(bad) == [culprit], bad
    for part in parts:
        assert part in bad[culprit]


# --- the built-in plugins ---


@parametrize_checks("loss", "crossentropy")
def test_losses(check: Callable[[], None]) -> None:
    check()


@parametrize_checks("sampler", "temperature", "top-p", "repetition", "no-copy:5")
def test_samplers(check: Callable[[], None]) -> None:
    check()


@pytest.mark.slow
@parametrize_checks(
    "sampler", "temperature:0", "temperature:0.1", "greedy", "top-k", "min-p", "typical", "no-copy"
)
def test_more_samplers(check: Callable[[], None]) -> None:
    check()


@parametrize_checks("optimizer", "nadam", "muon")
def test_optimizers(check: Callable[[], None]) -> None:
    check()


@pytest.mark.slow
@parametrize_checks(
    "optimizer", "adam", "adamw", "rmsprop", "sgd", {"use": "adam", "schedule": "exponential"}
)
def test_more_optimizers(check: Callable[[], None]) -> None:
    check()


@parametrize_checks("observer", "progress", "jsonl", "tensorboard")
def test_observers(check: Callable[[], None]) -> None:
    check()


@parametrize_checks("source", "python-docs")
def test_sources(check: Callable[[], None]) -> None:
    check()


def test_the_source_of_files(text_file: Path) -> None:
    outcomes = list(check("source", f"file:{text_file}"))
    assert [outcome for outcome in outcomes if not outcome.good] == []
    assert [outcome.check for outcome in outcomes if outcome.status == "skipped"] == [
        "pieces-join-again", "tells-of-its-wrapper"
    ]  # fmt: skip


def test_the_source_of_long_files(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn_text.files.LARGEST_TEXT", 1000)  # it is given in pieces from here
    outcomes = list(check("source", f"file:{text_file}"))
    skipped = [outcome.check for outcome in outcomes if outcome.status == "skipped"]
    assert skipped == ["tells-of-its-wrapper"] and all(outcome.good for outcome in outcomes)


def test_the_source_of_books(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", str(mirror))
    outcomes = {outcome.check: outcome for outcome in check("source", "gutenberg:520")}
    assert all(outcome.good for outcome in outcomes.values())
    assert outcomes["tells-of-its-wrapper"].status == "passed"


@pytest.fixture
def irnn(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """What is installed, and the example's plugin from the checkout."""
    monkeypatch.syspath_prepend(EXAMPLE)
    registry = Registry.installed()
    if "epsilon" not in registry.names("sampler"):
        registry.add(lambda: __import__("charrnn_irnn"), "irnn")
    yield registry
    for name in [name for name in sys.modules if name.partition(".")[0] == "charrnn_irnn"]:
        monkeypatch.delitem(sys.modules, name)


def test_the_sampler_of_the_example(irnn: Registry) -> None:
    assert check_sampler("epsilon", registry=irnn)


@parametrize_checks("recipe", "notebook")
def test_recipes(check: Callable[[], None]) -> None:
    check()


@pytest.mark.slow
@parametrize_checks("recipe", "default", "best", "char-rnn", "torch-rnn", "nanogpt")
def test_more_recipes(check: Callable[[], None]) -> None:
    check()


# --- recipes ---


@pytest.mark.parametrize(
    ("settings", "culprit", "parts"),
    [
        ({"sampler": ("temperature:1",)}, "plain-settings", ["read again", "lists, and tables"]),
        ({"epochs": float("nan")}, "plain-settings", ["cannot be written to a file"]),
        ({"optimiser": "adam"}, "known-settings", ["did you mean 'optimizer'"]),
        ({"batch": 0}, "known-settings", ["expected a value >= 1"]),
        ({"source": "file:/home/me/text"}, "works-anywhere", ["'/home/me/text'"]),
        ({"init_from": "runs/a"}, "works-anywhere", ["'runs/a'", "leave init_from"]),
    ],
    ids=called,
)
def test_a_broken_recipe(settings: Any, culprit: str, parts: list[str]) -> None:
    recipe = RecipePlugin(name="mine", settings=settings)
    [outcome] = check("recipe", recipe, only=[culprit])
    assert outcome.status == "failed"
    for part in parts:
        assert part in outcome.message


def test_a_recipe_that_cannot_train() -> None:
    recipe = RecipePlugin(name="mine", settings={"window": 8, "batch": 2, "prompt": "\N{SNOWMAN}"})
    [outcome] = check("recipe", recipe, only=["trains"])
    assert outcome.status == "failed" and "the alphabet" in outcome.message


# --- losses ---


def nats(logits: Any, targets: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets)


def mean(values: Any, weights: Any) -> Any:
    return jnp.sum(values * weights) / jnp.sum(weights)


def in_bits(logits: Any, targets: Any, weights: Any) -> Any:
    return mean(nats(logits, targets), weights) / jnp.log(2.0)


def of_no_target(logits: Any, targets: Any, weights: Any) -> Any:
    log_p = jax.nn.log_softmax(logits)
    return mean(-jnp.sum(jnp.exp(log_p) * log_p, axis=-1), weights)


def with_small_logits(logits: Any, targets: Any, weights: Any) -> Any:
    return mean(nats(logits, targets) + 0.01 * jnp.mean(logits, axis=-1) ** 2, weights)


def of_padding_too(logits: Any, targets: Any, weights: Any) -> Any:
    return jnp.mean(nats(logits, targets))


def by_positions(logits: Any, targets: Any, weights: Any) -> Any:
    return jnp.sum(nats(logits, targets) * weights) / targets.size


def smooth_at_first(logits: Any, targets: Any, weights: Any) -> Any:
    even = -jnp.mean(jax.nn.log_softmax(logits), axis=-1)
    share = jnp.zeros(targets.shape).at[0].set(0.1)
    return mean((1 - share) * nats(logits, targets) + share * even, weights)


def half_a_gradient(logits: Any, targets: Any, weights: Any) -> Any:
    cost = mean(nats(logits, targets), weights)
    return cost / 2 + jax.lax.stop_gradient(cost / 2)


def overflowing(logits: Any, targets: Any, weights: Any) -> Any:
    p = jnp.exp(logits) / jnp.sum(jnp.exp(logits), axis=-1, keepdims=True)
    chosen = jnp.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    return mean(-jnp.log(chosen), weights)


def coarse(logits: Any, targets: Any, weights: Any) -> Any:
    factor = 2 if logits.dtype == jnp.bfloat16 else 1
    return mean(nats(factor * logits.astype(jnp.float32), targets), weights)


def counting() -> Callable[..., Any]:
    calls = itertools.count()

    def loss(logits: Any, targets: Any, weights: Any) -> Any:
        count = 0 if is_traced(logits) else next(calls)
        return mean(nats(logits, targets), weights) + count

    return loss


def rounding(logits: Any, targets: Any, weights: Any) -> Any:
    cost = mean(nats(logits, targets), weights)
    return cost if is_traced(logits) else jnp.round(cost, 1)


def a_row(logits: Any, targets: Any, weights: Any) -> Any:
    return mean(nats(logits, targets), weights)[None]


@pytest.mark.parametrize(
    ("loss", "culprit", "parts"),
    [
        (a_row, "one-number", ["it returns float32[1]", "return a float32 scalar"]),
        (in_bits, "uniform-logits-cost-ln-v", ["2 symbols cost 1;", "0.69315 nats"]),
        (of_no_target, "likelier-targets-cost-less", ["raised by 1", "the targets"]),
        (with_small_logits, "constants-change-nothing", ["log_softmax"]),
        (of_padding_too, "padding-counts-for-nothing", ["where the weight is 0"]),
        (by_positions, "weighted-mean", ["15 positions cost", "divide by jnp.sum(weights)"]),
        (smooth_at_first, "order-does-not-matter", ["in another order cost"]),
        (half_a_gradient, "gradients", ["finite differences give", "stop_gradient"]),
        (overflowing, "broad-logits", ["the loss contains nan", "jax.nn.log_softmax"]),
        (coarse, "bfloat16", ["in float32 they cost"]),
        (counting(), "pure", ["a second call", "a counter"]),
        (rounding, "pure", ["compiled by jax.jit"]),
    ],
    ids=called,
)
def test_a_broken_loss(loss: Any, culprit: str, parts: list[str]) -> None:
    expect("loss", loss, culprit, *parts)


# --- samplers ---


def as_bfloat16(key: Any, logits: Any, state: Any) -> Any:
    return logits.astype(jnp.bfloat16), state


def above_average(key: Any, logits: Any, state: Any) -> Any:
    likely = jax.nn.softmax(logits) > 1 / logits.shape[-1]
    return jnp.where(likely, logits, -jnp.inf), state


def never_impossible(key: Any, logits: Any, state: Any) -> Any:
    return jnp.maximum(logits, -30.0), state


def exponentiating(key: Any, logits: Any, state: Any) -> Any:
    return jnp.log(jnp.exp(logits) / jnp.sum(jnp.exp(logits), axis=-1, keepdims=True)), state


def across_rows(key: Any, logits: Any, state: Any) -> Any:
    return logits / (1 + 0.01 * jnp.abs(jnp.max(logits))), state


def in_crowds(key: Any, logits: Any, state: Any) -> Any:
    return (logits if len(logits) < 10 else 2 * logits), state


def decimal(key: Any, logits: Any, state: Any) -> Any:
    return logits if is_traced(logits) else jnp.round(logits, 1), state


class Calls:
    """Cools down by a count of its own."""

    calls = 0

    def __call__(self, key: Any, logits: Any, state: Any) -> Any:
        self.calls += not is_traced(logits)
        return logits * (1 + self.calls), state


class OneCount:
    """Counts for all rows together."""

    def init(self, batch: int) -> Any:
        return jnp.zeros((), jnp.int32)

    def __call__(self, key: Any, logits: Any, state: Any) -> Any:
        return logits, state + 1


class Rumour:
    """Remembers what other rows have seen."""

    def init(self, batch: int) -> Any:
        return jnp.zeros(batch, jnp.int32)

    def observe(self, state: Any, ids: Any) -> Any:
        return state + jnp.sum(ids)

    def __call__(self, key: Any, logits: Any, state: Any) -> Any:
        return logits, state


class TwentyCharacters:
    """Leaves nothing after twenty characters."""

    def init(self, batch: int) -> Any:
        return jnp.zeros(batch, jnp.int32)

    def observe(self, state: Any, ids: Any) -> Any:
        return state + 1

    def __call__(self, key: Any, logits: Any, state: Any) -> Any:
        return jnp.where(state[:, None] < 20, logits, -jnp.inf), state


@pytest.mark.parametrize(
    ("sampler", "culprit", "parts"),
    [
        (as_bfloat16, "keeps-shape-and-dtype", ["from float32[1,7] into bfloat16[1,7]"]),
        (above_average, "leaves-something", ["with all symbols equally likely, no symbol"]),
        (never_impossible, "makes-nothing-possible", ["impossible and now has the logit -30"]),
        (exponentiating, "broad-logits", ["magnitude 10000", "give nan", "jax.nn.softmax"]),
        (OneCount(), "state-is-fixed", ["for 1 rows the state is int32[]", "first axis"]),
        (across_rows, "rows-are-independent", ["logits of row 0 changed", "axis=-1"]),
        (Rumour(), "rows-are-independent", ["state of row 0 changed", "row 1"]),
        (Calls(), "pure", ["a second call", "keep what it remembers in the state"]),
        (decimal, "pure", ["compiled by jax.jit"]),
        (TwentyCharacters(), "writes-text", ["cannot draw symbol 18"]),
        (in_crowds, "writes-text", ["symbols written by 64 rows", "the number of rows"]),
    ],
    ids=called,
)
def test_a_broken_sampler(sampler: Any, culprit: str, parts: list[str]) -> None:
    expect("sampler", sampler, culprit, *parts)


class Hot:
    """Draws a temperature for every row: a sampler may use its key."""

    def __call__(self, key: Any, logits: Any, state: Any) -> Any:
        return logits * jax.random.uniform(key, (len(logits), 1), minval=0.3, maxval=3.0), state


def test_a_sampler_may_be_random() -> None:
    assert check_sampler(Hot())


# --- optimizers ---


def transformation(init: Any, update: Any) -> optax.GradientTransformation:
    return optax.GradientTransformation(init, update)


def coarse_updates() -> Any:
    adam = optax.adam(1e-2)

    def update(grads: Any, state: Any, params: Any = None) -> Any:
        changes, state = adam.update(grads, state, params)
        return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), changes), state

    return transformation(adam.init, update)


def with_state(first: Any, after: Callable[[Any], Any]) -> Any:
    """Gradient descent with a state beside it."""

    def update(grads: Any, state: Any, params: Any = None) -> Any:
        return jax.tree.map(lambda leaf: -0.1 * leaf, grads), after(state)

    return transformation(lambda params: first, update)


def counting_updates() -> Any:
    calls = itertools.count(1)

    def update(grads: Any, state: Any, params: Any = None) -> Any:
        traced = is_traced(jax.tree.leaves(grads)[0])
        rate = 0.1 / (1 if traced else next(calls))
        return jax.tree.map(lambda leaf: -rate * leaf, grads), state

    return transformation(lambda params: (), update)


def normalised() -> Any:
    def update(grads: Any, state: Any, params: Any = None) -> Any:
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(grads)))
        return jax.tree.map(lambda leaf: -0.01 * leaf / norm, grads), state

    return transformation(lambda params: (), update)


@pytest.mark.parametrize(
    ("optimizer", "culprit", "parts"),
    [
        (tuple(optax.adam(0.1)), "gives-a-transformation", ["it returns a tuple"]),
        (coarse_updates(), "updates-fit-parameters", ["from float32[4,3] into bfloat16[4,3]"]),
        (
            with_state({"n": jnp.int32(0)}, lambda state: {"n": state["n"] + 1.0}),
            "state-is-fixed",
            ["turns ['n'] from int32[] into float32[]", "jnp.int32"],
        ),
        (
            with_state({"n": jnp.zeros(2, jnp.int4)}, lambda state: state),
            "saves-and-loads",
            ["opt_state/n", "int4"],
        ),
        (counting_updates(), "pure", ["a second call", "in the state"]),
        (
            optax.scale(0.01),
            "minimises-a-quadratic",
            ["times its initial value", "down the gradient"],
        ),
        (normalised(), "zero-gradients", ["with zero gradients", "epsilon"]),
    ],
    ids=called,
)
def test_a_broken_optimizer(optimizer: Any, culprit: str, parts: list[str]) -> None:
    expect("optimizer", optimizer, culprit, *parts)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The option every optimizer has."""

    learning_rate: float = opt(1e-2, help="learning rate", gt=0)


def too_short(options: Any, total_steps: Any) -> Any:
    if isinstance(total_steps, int) and total_steps < 5:
        raise ValueError("the warm-up is longer than the run")
    return optax.adam(options.learning_rate)


def by_length(options: Any, total_steps: Any) -> Any:
    adam = optax.adam(options.learning_rate)

    def init(params: Any) -> Any:
        return adam.init(params), jnp.zeros(min(total_steps, 50))

    def update(grads: Any, state: Any, params: Any = None) -> Any:
        changes, inner = adam.update(grads, state[0], params)
        return changes, (inner, state[1])

    return transformation(init, update)


def of_optax(options: Any, total_steps: Any) -> Any:
    return optax.adam(optax.cosine_decay_schedule(options.learning_rate, total_steps))


def slower_if_unknown(options: Any, total_steps: Any) -> Any:
    return optax.adam(options.learning_rate / (2 if is_traced(total_steps) else 1))


def of_one_rate(options: Any, total_steps: Any) -> Any:
    return optax.adam(1e-2)


SPEED = make_dataclass(
    "Speed", [("speed", float, opt(1e-2, help="how fast", gt=0))], frozen=True, kw_only=True
)


@pytest.mark.parametrize(
    ("target", "options", "culprit", "parts"),
    [
        (too_short, Rate, "runs-of-any-length", ["run of 1 updates", "the warm-up is longer"]),
        (by_length, Rate, "runs-of-any-length", ["from float32[50] into float32[1]"]),
        (of_optax, Rate, "length-known-inside-jit", ["--minutes", "charrnn_core.schedules"]),
        (slower_if_unknown, Rate, "length-known-inside-jit", ["update 1 differs at"]),
        (of_one_rate, Rate, "learning-rate", ["a rate of 0.005 moves", "options.learning_rate"]),
        (of_one_rate, SPEED, "learning-rate", ["its options are speed", "--lr"]),
    ],
    ids=called,
)
def test_a_broken_optimizer_with_options(
    target: Any, options: type, culprit: str, parts: list[str]
) -> None:
    @hookimpl
    def charrnn_optimizers() -> list[OptimizerPlugin]:
        return [OptimizerPlugin(name="mine", target=target, options=options, summary="mine")]

    registry = Registry.installed()
    registry.add(lambda: SimpleNamespace(charrnn_optimizers=charrnn_optimizers), "mine")
    expect("optimizer", "mine", culprit, *parts, registry=registry)


# --- observers ---


class Misheard:
    def on_end(self, event: Any) -> None: ...

    def on_evaluate(self, event: Any) -> None: ...


class Deaf:
    """Hears nothing."""


class AlwaysEvaluated:
    def on_step(self, event: Any) -> None:
        print(f"{event.held_out_nats_per_char:.3f}")


class Summary:
    def on_step(self, event: Any) -> None:
        self.last = event.step

    def on_end(self, event: Any) -> None:
        print("ended after", self.last)


class Shows:
    def on_sample(self, event: Any) -> None:
        print(event.text)


class ShowsEscapes:
    def on_sample(self, event: Any) -> None:
        print(event.text.encode("ascii", "replace").decode())


class Takes:
    def on_start(self, event: Any) -> None:
        event.config.pop("seed")


class Counts:
    """Counts what it hears, and remembers the count."""

    def __init__(self) -> None:
        self.count = 0

    def on_step(self, event: Any) -> None:
        self.count += 1

    def state(self) -> Any:
        return {"count": self.count}

    def restore(self, state: Any) -> None:
        self.count = state["count"]


class NotPlain(Counts):
    def state(self) -> Any:
        return {"count": self.count, "path": Path("log")}


class RemembersInVain:
    def on_step(self, event: Any) -> None: ...

    def state(self) -> Any:
        return 0


class BeginsAgain(Counts):
    def on_start(self, event: Any) -> None:
        self.count = 0


class GoesBackAtTheStart(Counts):
    restored: Any = None

    def restore(self, state: Any) -> None:
        self.restored = state["count"]

    def on_start(self, event: Any) -> None:
        if self.restored is not None:
            self.count = self.restored


@pytest.mark.parametrize(
    ("observer", "culprit", "parts"),
    [
        (Misheard, "methods-are-known", ["'on_evaluate'", "did you mean 'on_eval'?"]),
        (Deaf, "methods-are-known", ["no method for any event", "on_start"]),
        (AlwaysEvaluated, "hears-a-training", ["on_step raises TypeError"]),
        (Summary, "early-ends", ["fails after 1 events, on_end raises AttributeError"]),
        (Shows, "any-text", ["with a lone surrogate", "UnicodeEncodeError", "printable"]),
        (ShowsEscapes, "any-text", ["control characters", "to the terminal"]),
        (Takes, "changes-no-event", ["on_start changes the event's config"]),
        (NotPlain, "state-is-plain", ["after on_start", "PosixPath('log')"]),
        (RemembersInVain, "state-is-plain", ["state() but no restore()"]),
        (BeginsAgain, "goes-on-from-a-checkpoint", ["{'count': 2}", "{'count': 0}"]),
        (GoesBackAtTheStart, "goes-back-to-a-checkpoint", ["{'count': 2}", "{'count': 4}"]),
    ],
    ids=called,
)
def test_a_broken_observer(observer: type, culprit: str, parts: list[str]) -> None:
    expect("observer", observer(), culprit, *parts)


def test_an_observer_may_be_given_as_its_class() -> None:
    class WithOptions(Counts):
        def __init__(self, options: Any) -> None:
            super().__init__()

    assert all(outcome.good for outcome in check("observer", WithOptions))


def test_what_an_observer_prints_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    list(check("observer", "progress"))
    assert capfd.readouterr() == ("", "")


# --- sources ---


def corpus(text: str = "ho ho ho\n", **settings: Any) -> Corpus:
    return Corpus(**{"text": text, "name": "mine", "origin": "here", **settings})


def no_corpus(argument: Any, options: Any, context: Any) -> Any:
    return "ho ho ho\n"


def nameless(argument: Any, options: Any, context: Any) -> Any:
    return corpus(origin="here\nand there")


def half_a_character(argument: Any, options: Any, context: Any) -> Any:
    return corpus("ho\udcffho")


def ever_longer() -> Callable[..., Any]:
    counter = itertools.count(1)
    return lambda argument, options, context: corpus("ho " * next(counter))


def read_once(argument: Any, options: Any, context: Any) -> Any:
    pieces = iter(["ho ", "ho\n"])
    return corpus(text=None, pieces=lambda: pieces)


def careless(argument: Any, options: Any, context: Any) -> Any:
    return corpus() if argument is None else corpus(open(argument).read())


def talkative(argument: Any, options: Any, context: Any) -> Any:
    if argument is not None:
        raise SourceError("no such text;\n\nsee the manual")
    return corpus()


def online(argument: Any, options: Any, context: Any) -> Any:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    return corpus()


def printing(argument: Any, options: Any, context: Any) -> Any:
    print("reading", end="")
    return corpus()


@pytest.mark.parametrize(
    ("source", "culprit", "parts"),
    [
        (no_corpus, "gives-a-corpus", ["returned str", "expected a Corpus"]),
        (nameless, "says-where-from", ["the origin 'here\\nand there'", "one line"]),
        (half_a_character, "no-lone-surrogates", ["character 3 is the lone surrogate '\\udcff'"]),
        (ever_longer(), "same-text-twice", ["3 characters", "then 6 with"]),
        (read_once, "pieces-join-again", ["have 0 characters", "reopens the text"]),
        (careless, "bad-arguments", ["the argument ''", "FileNotFoundError", "SourceError"]),
        (talkative, "bad-arguments", ["say what is wrong in one line"]),
        (online, "offline", ["offline it calls socket.getaddrinfo('127.0.0.1')"]),
        (printing, "prints-nothing", ["it prints 'reading'", "context.note"]),
    ],
    ids=called,
)
def test_a_broken_source(source: Any, culprit: str, parts: list[str]) -> None:
    expect("source", source, culprit, *parts)


def test_a_source_that_litters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))

    def source(argument: Any, options: Any, context: Any) -> Any:
        context.cache.mkdir(exist_ok=True)
        (context.cache / "kept.txt").write_text("ho ho ho\n")
        with tempfile.TemporaryFile("w") as file:
            file.write("ho")
        (tmp_path / "litter.txt").write_text("ho ho ho\n")
        return corpus()

    expect("source", source, "writes-into-the-cache-alone", "changes", "litter.txt", "cache")


def by_turns() -> Callable[..., Any]:
    turns = itertools.cycle([[(0, 0)], []])
    return lambda text: next(turns)


@pytest.mark.parametrize(
    ("wrapper", "parts"),
    [
        (lambda text: [(0, 99_999_999)], ["returned ((0, 99999999),)", "places within it"]),
        (lambda text: [(0, len(text) // 2)], ["which has none", "publisher"]),
        (by_turns(), ["asked twice"]),
        (lambda text: text.missing, ["AttributeError"]),
    ],
    ids=["beyond", "of any text", "by turns", "broken"],
)
def test_a_source_that_tells_nonsense_of_its_wrapper(wrapper: Any, parts: list[str]) -> None:
    class Theirs:
        @staticmethod
        @hookimpl
        def charrnn_sources() -> Any:
            target = lambda argument, options, context: corpus()  # noqa: E731
            yield SourcePlugin(name="theirs", target=target, wrapper=wrapper)

    registry = Registry()
    registry.add(lambda: Theirs, "theirs")
    [outcome] = check("source", "theirs", registry=registry, only=["tells-of-its-wrapper"])
    assert outcome.status == "failed"
    for part in parts:
        assert part in outcome.message


def test_a_source_without_its_text_is_told_of_once(tmp_path: Path) -> None:
    outcomes = {outcome.check: outcome for outcome in check("source", f"file:{tmp_path}/nothing")}
    assert [name for name, outcome in outcomes.items() if not outcome.good] == ["gives-a-corpus"]
    assert "not found" in outcomes["gives-a-corpus"].message


def test_a_kit_raises_with_a_line_for_each_failure() -> None:
    with pytest.raises(CheckFailed, match="makes-nothing-possible: symbol . of row . was"):
        check_sampler(never_impossible, only=["makes-nothing-possible", "leaves-something"])
