"""The contract of a sampler: from one distribution to another, row by row.

It is first bound to an alphabet and a training text, as when sampling.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Params, Tree
from charrnn_core.network.network import Network
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.draw import Generator
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.demands import demand_fixed_shapes, demand_purity
from charrnn_core.testing.kit import Kit, fail
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.subject import Subject
from charrnn_core.testing.trees import Numbers, farthest, shapes
from charrnn_core.text.alphabet import Alphabet

ALPHABET = Alphabet.of("\nabcdef")
ROWS, SYMBOLS = 3, len(ALPHABET)
"""Sizes that differ, so that a confusion of axes cannot go unseen."""

_TEXT = 500
_HISTORY = 4
_TOLERANCE = 1e-5
_BROAD = 1e4
_WRITERS, _LENGTH = 64, 32
_SIGMAS = 5.0


class SamplerSubject(Subject):
    """A sampler under test.

    >>> SamplerSubject.of("sampler", "temperature:0.5").shaped(np.ones((1, 7))).tolist()[0][:2]
    [2.0, 2.0]
    """

    @cached_property
    def sampler(self) -> Any:
        """The sampler, bound to a model."""
        text = np.random.default_rng(0).integers(SYMBOLS, size=_TEXT).astype(ALPHABET.dtype)
        context = SamplerContext(ALPHABET, lambda: text)
        (sampler,) = Chain([self.make()]).bind(context).samplers
        return sampler

    @cached_property
    def chain(self) -> Chain:
        """The sampler as the core calls it, alone."""
        return Chain([self.sampler])

    def try_out(self) -> None:
        """Shape one distribution.

        Raises:
            PluginError: the author's code fails, or returns other shapes than it has to.
        """
        logits, chain = jnp.zeros((ROWS, SYMBOLS)), self.chain
        jax.eval_shape(chain, jax.random.key(0), logits, chain.init(ROWS))

    @cached_property
    def history(self) -> Callable[[Numbers], Any]:
        """From ``ids: int32[T,B]`` to what it remembers after them."""
        chain = self.chain
        return compiled(lambda ids: chain.observe_all(chain.init(ids.shape[1]), ids))

    def shaped(self, logits: Numbers) -> Numbers:
        """Return the shaped logits in the middle of a text."""
        rows = len(logits)
        shaped, _ = self.compiled_step(logits, self.history(ids(0, rows)), ids(1, rows)[0])
        return np.asarray(shaped)

    @cached_property
    def compiled_step(self) -> Callable[..., tuple[jax.Array, Tree]]:
        """`step`, compiled."""
        return compiled(self.step)

    def step(self, logits: Any, states: Tree, ids: Any) -> tuple[jax.Array, Tree]:
        """Return the shaped logits for one character, and the state afterwards."""
        shaped, states = self.chain(jax.random.key(0), logits, states)
        return shaped, self.chain.observe(states, ids)


def logits(seed: int, rows: int = ROWS) -> Numbers:
    """Return random logits ``float32[rows,SYMBOLS]``."""
    drawn = np.random.default_rng(seed).normal(size=(rows, SYMBOLS))
    return (2 * drawn).astype(np.float32)


def ids(seed: int, rows: int = ROWS, steps: int = _HISTORY) -> Numbers:
    """Return random ids ``int32[steps,rows]``."""
    return np.random.default_rng(seed).integers(SYMBOLS, size=(steps, rows), dtype=np.int32)


def _some_impossible(values: Numbers, seed: int) -> Numbers:
    """Return the logits with some symbols of every row impossible, and the first two possible."""
    drawn = np.random.default_rng(seed).uniform(size=values.shape) < 0.5
    drawn[:, :2] = False
    return np.where(drawn, np.float32(-np.inf), values)


def keeps_shape_and_dtype(subject: SamplerSubject) -> None:
    """It takes logits float32[B,V] and returns logits float32[B,V]."""
    for rows in (1, ROWS):
        given = jax.ShapeDtypeStruct((rows, SYMBOLS), jnp.float32)
        states = subject.chain.init(rows)
        shaped, _ = jax.eval_shape(subject.chain, jax.random.key(0), given, states)
        demand_fixed_shapes(
            "it", {"logits": given}, {"logits": shaped},
            "return logits of unchanged shape and dtype, not ids or probabilities",
        )  # fmt: skip


def leaves_something(subject: SamplerSubject) -> None:
    """In every row at least one possible symbol stays possible."""
    never = -np.inf
    rows = {
        "all symbols equally likely": [0.0] * SYMBOLS,
        "two likeliest symbols": [3.0, 3.0, *[0.0] * (SYMBOLS - 2)],
        "a single possible symbol": [never, -3.0, *[never] * (SYMBOLS - 2)],
        "two possible symbols, equally likely": [never, 1.0, 1.0, *[never] * (SYMBOLS - 3)],
        "one symbol that is almost certain": [40.0, *[0.0] * (SYMBOLS - 1)],
        "symbols of all probabilities": np.linspace(-3, 3, SYMBOLS).tolist(),
    }
    shaped = subject.shaped(np.asarray(list(rows.values()), np.float32))
    for case, row in zip(rows, shaped, strict=True):
        if not (row > -np.inf).any():
            fail(
                f"with {case}, no symbol stays possible: {row.tolist()}",
                "always keep the likeliest symbol, for example by comparing with >= and a bound "
                "that is at most the largest probability",
            )


def makes_nothing_possible(subject: SamplerSubject) -> None:
    """A logit of minus infinity stays minus infinity."""
    given = _some_impossible(logits(1), 1)
    shaped = subject.shaped(given)
    wrong = (given == -np.inf) & (shaped > -np.inf)
    for row, symbol in zip(*np.nonzero(wrong), strict=True):
        fail(
            f"symbol {symbol} of row {row} was impossible and now has the logit "
            f"{shaped[row, symbol]}",
            "end with jnp.where(logits == -jnp.inf, -jnp.inf, shaped): what another sampler "
            "forbids must never be drawn",
        )


def broad_logits(subject: SamplerSubject) -> None:
    """Logits of ten thousand, and of minus infinity, give neither NaN nor plus infinity."""
    given = _BROAD * logits(2)
    for case, values in {"": given, ", some impossible": _some_impossible(given, 2)}.items():
        shaped = subject.shaped(values)
        bad = shaped[np.isnan(shaped) | (shaped == np.inf)]
        if bad.size:
            fail(
                f"logits of magnitude {_BROAD:g}{case} give {bad[0]}",
                "use jax.nn.softmax or log_softmax instead of exp and log, and jnp.where instead "
                "of multiplying by a mask",
            )


def state_is_fixed(subject: SamplerSubject) -> str:
    """Its state has the batch as its first axis, and keeps its shapes and dtypes."""
    shown = "None"
    for rows in (1, ROWS):
        key, given = jax.random.key(0), logits(3, rows)
        states = jax.eval_shape(lambda rows=rows: subject.chain.init(rows))
        shown = str(shapes(states[0]))
        if any(leaf.shape[:1] != (rows,) for leaf in jax.tree.leaves(states)):
            fail(
                f"for {rows} rows the state is {shown}",
                "make the batch the first axis of every array in it: each row has its own state",
            )
        change = "return the state with unchanged structure, shapes and dtypes"
        _, after = jax.eval_shape(subject.chain, key, given, states)
        demand_fixed_shapes("a call", states[0], after[0], change)
        after = jax.eval_shape(subject.chain.observe, states, ids(3, rows)[0])
        demand_fixed_shapes("observe", states[0], after[0], change)
    return f"state {shown}"


def rows_are_independent(subject: SamplerSubject) -> None:
    """A row depends neither on the other rows of the batch nor on their number."""
    given, past, now = logits(4), ids(4), ids(5)[0]
    other_given, other_past = given.copy(), past.copy()
    other_given[1], other_past[:, 1] = logits(6)[1] + 3, ids(6)[:, 1]
    step, history = subject.compiled_step, subject.history
    together = step(given, history(past), now)
    changed = step(other_given, history(other_past), now)
    alone = step(given[:1], history(past[:, :1]), now[:1])
    cases = (
        (0, changed, "when row 1 changed"),
        (2, changed, "when row 1 changed"),
        (0, alone, "when it is the only row"),
    )
    for row, other, when in cases:
        parts = zip(("the logits", "the state"), together, other, strict=True)
        for what, one, two in parts:
            if (apart := farthest(_row(two, row), _row(one, row))[0]) > _TOLERANCE:
                fail(
                    f"{what} of row {row} changed by {apart:.2g} {when}",
                    "compute within a row, over the last axis: axis=-1, keepdims=True",
                )


def _row(tree: Tree, row: int) -> Any:
    """Return one row of every leaf; `state_is_fixed` checks that each leaf has one."""
    return [leaf[row] for leaf in jax.tree.leaves(tree) if leaf.ndim]


def pure(subject: SamplerSubject) -> None:
    """The same key, logits and state give the same logits and state, compiled or not."""
    first, other = ((logits(seed), subject.history(ids(seed)), ids(seed + 1)[0]) for seed in (7, 9))
    demand_purity(
        subject.step, first, other,
        "keep what it remembers in the state, not in the object or a global; draw only from key",
    )  # fmt: skip


class _Fading:
    """A cell without parameters: ``h' = (h + x) / 2``."""

    def init(self, key: jax.Array, in_features: int) -> dict[str, Tree]:
        return {}

    def initial_carry(self, params: Params, input_shape: tuple[int, int]) -> jax.Array:
        return jnp.zeros(input_shape)

    def step(self, params: Params, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry = (carry + x) / 2
        return carry, carry


def writes_text(subject: SamplerSubject) -> str:
    """Between two temperatures, it writes each symbol as often as its distributions say."""

    def warm(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        return logits / 1.2, state

    chain = Chain([warm, subject.sampler, warm])
    network = Network(_Fading(), SYMBOLS)
    readout = {"kernel": logits(9, SYMBOLS), "bias": np.zeros(SYMBOLS, np.float32)}
    params = {"cell": {}, "readout": readout}
    prompt = encode_prompt(ALPHABET, "abc")
    generate = Generator(network, chain)
    pieces = generate(params, prompt, _LENGTH, jax.random.key(1), _WRITERS)
    written = np.concatenate(list(pieces))

    def probabilities(key: jax.Array, row: Any) -> jax.Array:
        """Return the distributions that one row was drawn from, ``float[LENGTH,V]``."""
        begun = jnp.asarray(prompt)[:, None]
        read = jnp.concatenate([begun, row[:-1, None]])
        outputs, _ = network.unroll(params, network.initial_carry(params, 1), read)

        def character(states: Tree, item: Any) -> tuple[Any, jax.Array]:
            own_key, logits, ids = item
            shaped, states = chain(own_key, logits, states)
            return chain.observe(states, ids[None]), jax.nn.softmax(shaped[0])

        keys = jax.random.split(key, _LENGTH)
        states = chain.observe_all(chain.init(1), begun)
        return jax.lax.scan(character, states, (keys, outputs[len(prompt) - 1 :], row))[1]

    def each_row(key: jax.Array) -> jax.Array:
        return jax.vmap(probabilities)(jax.random.split(key, _WRITERS), written.T)

    # Each row by itself, and twice: a sampler may use its key, which adds to the variance.
    both = compiled(lambda key: jax.vmap(each_row)(jax.random.split(key)))(jax.random.key(2))
    one, two = np.asarray(both, np.float64)
    counts = np.bincount(written.reshape(-1), minlength=SYMBOLS)
    expected = one.sum((0, 1))
    deviation = np.sqrt((one * (1 - one) + (one - two) ** 2).sum((0, 1)))
    # One more or less is rounding: where a single symbol is possible, nothing else would be.
    off = np.maximum(np.abs(counts - expected) - 1, 0) / np.maximum(deviation, 1e-3)
    if not off.max() < _SIGMAS:
        symbol = int(np.argmax(off))
        fail(
            f"of {counts.sum()} symbols written by {_WRITERS} rows, {counts[symbol]} are "
            f"{ALPHABET.symbols[symbol]!r}; by the logits it returns for each row alone, "
            f"{expected[symbol]:.1f} +- {deviation[symbol]:.1f} are expected",
            "make the logits of a row depend only on its own logits and state, whatever the number "
            "of rows, and take account of drawn symbols only in observe",
        )
    return f"at most {off.max():.1f} sigma off"


KIT = Kit(SamplerSubject, (
    *REGISTRATION,
    keeps_shape_and_dtype, leaves_something, makes_nothing_possible, broad_logits, state_is_fixed,
    rows_are_independent, pure, writes_text,
))  # fmt: skip
"""The kit for samplers."""
