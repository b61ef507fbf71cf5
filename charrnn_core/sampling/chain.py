"""Samplers in a chain: each shapes the distribution that the next one gets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.blame import Call, a_pair, outlined
from charrnn_core.engine.unroll import restart
from charrnn_core.network.pytree import form
from charrnn_core.public import public
from charrnn_core.text.alphabet import Alphabet, Ids

SamplerFunction = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]


@public
@dataclass(frozen=True)
class SamplerContext:
    """What a sampler can know of the model, passed to its ``bind(context)``.

    Arguments:
        alphabet: the model's symbols.
        training_ids: returns the ids of the training text, which is read when this is called.
    """

    alphabet: Alphabet
    training_ids: Callable[[], Ids]


class Chain:
    """Samplers applied in sequence: each shapes the distribution that the next one gets.

    Samplers with a true attribute ``constraint`` run first, wherever they stand, so that they can
    never forbid everything that the others have left.

    Arguments:
        samplers: ``(key, logits, state) -> (logits, state)``, optionally with ``init(batch)``,
            ``observe(state, ids)``, ``bind(context)``; see `charrnn_core.SamplerPlugin`.

    >>> double = lambda key, logits, state: (2 * logits, state)
    >>> logits, _ = Chain([double, double])(jax.random.key(0), jnp.ones((1, 2)), (None, None))
    >>> logits.tolist()
    [[4.0, 4.0]]
    """

    def __init__(self, samplers: Sequence[SamplerFunction]) -> None:
        self.samplers = tuple(
            sorted(samplers, key=lambda sampler: not getattr(sampler, "constraint", False))
        )

    def bind(self, context: SamplerContext) -> "Chain":
        """Return the chain with the context passed to every sampler that has ``bind``."""
        return Chain([_bound(sampler, context) for sampler in self.samplers])

    def init(self, batch: int) -> tuple[Any, ...]:
        """Return the initial state of every sampler; None for a stateless one."""
        return tuple(_begin(sampler, batch) for sampler in self.samplers)

    def __call__(
        self, key: jax.Array, logits: jax.Array, states: tuple[Any, ...]
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        after = []
        for i, (sampler, state) in enumerate(zip(self.samplers, states, strict=True)):
            logits, state = _shape(sampler, jax.random.fold_in(key, i), logits, state)
            after.append(state)
        return logits, tuple(after)

    def tried(self, symbols: int) -> "Chain":
        """Trace the chain once and return it, so that a bad sampler fails before the training.

        Raises:
            PluginError: the code of a sampler fails, or returns wrong shapes.
        """
        jax.eval_shape(lambda: self(jax.random.key(0), jnp.zeros((1, symbols)), self.init(1)))
        return self

    def observe(self, states: tuple[Any, ...], ids: jax.Array) -> tuple[Any, ...]:
        """Return the states after ``ids: int32[B]``, the next character of every stream."""
        pairs = zip(self.samplers, states, strict=True)
        return tuple(_observe(sampler, state, ids) for sampler, state in pairs)

    def observe_all(
        self, states: tuple[Any, ...], ids: jax.Array, read: jax.Array | None = None
    ) -> tuple[Any, ...]:
        """Return the states after ``ids: int32[T,B]``.

        Arguments:
            states: those before.
            ids: the characters.
            read: ``bool[T,B]``, False for padding, which leaves a row's state as it is.
        """
        if not any(hasattr(sampler, "observe") for sampler in self.samplers):
            return states

        def one(states: Any, item: Any) -> Any:
            ids, read = item
            return restart(read, states, self.observe(states, ids)), None

        read = jnp.ones(ids.shape, bool) if read is None else read
        return jax.lax.scan(one, states, (ids, read))[0]

    def row_by_row(
        self, key: jax.Array, logits: jax.Array, states: tuple[Any, ...]
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        """Shape every row as if it were alone: what a sampler draws itself is that of row 0."""

        def alone(logits: jax.Array, states: Any) -> Any:
            one = jax.tree.map(lambda leaf: leaf[None], (logits, states))
            return jax.tree.map(lambda leaf: leaf[0], self(key, *one))

        return jax.vmap(alone)(logits, states)


_MUST = "it must return (logits, state), both in the shapes it got"


def _method(sampler: Any, name: str, must: str, got: Mapping[str, Any] | None = None) -> Call:
    return Call(f"{name} of a sampler", getattr(sampler, name), must, got)


def _bound(sampler: Any, context: SamplerContext) -> SamplerFunction:
    if not hasattr(sampler, "bind"):
        return sampler
    with _method(sampler, "bind", "bind(context) must return a sampler"):
        return sampler.bind(context)


def _begin(sampler: Any, batch: int) -> Any:
    if not hasattr(sampler, "init"):
        return None
    with _method(sampler, "init", "init(batch) must return its first state"):
        return sampler.init(batch)


def _shape(sampler: Any, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any]:
    call = Call("a sampler", sampler, _MUST, {"logits": logits, "state": state})
    with call:
        result = sampler(key, logits, state)
    if not a_pair(result):
        raise call.fault(f"returns {outlined(result)}")
    shaped, after = result
    if jnp.shape(shaped) != logits.shape or form(after) != form(state):
        raise call.fault(f"returns {outlined((shaped, after))}")
    return shaped, after


def _observe(sampler: Any, state: Any, ids: jax.Array) -> Any:
    if not hasattr(sampler, "observe"):
        return state
    must = "observe(state, ids) must return its state, in the shapes it got"
    call = _method(sampler, "observe", must, {"state": state, "ids": ids})
    with call:
        after = sampler.observe(state, ids)
    if form(after) != form(state):
        raise call.fault(f"returns {outlined(after)}")
    return after
