"""Text of a constant surprise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    """What the sampler remembers of every row.

    Fields:
        bound: float32[B], the largest surprise that can be drawn, in bits.
        surprise: float32[B,V], that of each symbol in the last distribution, in bits.
        drawing: bool[B], whether there was one; a prompt is read without any.
    """

    bound: jax.Array
    surprise: jax.Array
    drawing: jax.Array


class Mirostat:
    """Symbols whose surprise ``-log2 p`` is at most a bound m; ``m' = m - rate (surprise - bits)``.

    The bound starts at twice the surprise that is aimed at and follows that of what was drawn,
    where p is renormalised over what could be drawn. The likeliest symbol can always be drawn.

    Source: Basu et al., Mirostat: A Neural Text Decoding Algorithm that Directly Controls
    Perplexity, 2021, arXiv 2007.14966, in the version 2 of its authors' code.

    >>> from types import SimpleNamespace
    >>> sampler = Mirostat(SimpleNamespace(bits=1.0, rate=0.5)).bind(SimpleNamespace(alphabet="ab"))
    >>> logits = jnp.log(jnp.array([[0.9, 0.1]]))
    >>> shaped, state = sampler(None, logits, sampler.init(1))
    >>> jax.nn.softmax(shaped).tolist()  # the second has a surprise of 3.3 bits, and 2 is the bound
    [[1.0, 0.0]]
    >>> sampler.observe(state, jnp.array([0])).bound.tolist()  # no surprise at all: it may be more
    [2.5]
    """

    def __init__(self, options: Any) -> None:
        self.bits, self.rate = options.bits, options.rate
        self.symbols = 0

    def bind(self, context: Any) -> "Mirostat":
        """Learn how many symbols there are."""
        self.symbols = len(context.alphabet)
        return self

    def init(self, batch: int) -> State:
        """Nothing was drawn yet."""
        return State(
            jnp.full(batch, 2 * self.bits, jnp.float32),
            jnp.zeros((batch, self.symbols), jnp.float32),
            jnp.zeros(batch, bool),
        )

    def __call__(self, key: jax.Array, logits: jax.Array, state: State) -> tuple[jax.Array, State]:
        del key  # the core draws
        bits = -jax.nn.log_softmax(logits) / jnp.log(2.0)
        least = jnp.min(bits, axis=-1, keepdims=True)
        kept = bits <= jnp.maximum(state.bound[:, None], least)
        shaped = jnp.where(kept, logits, -jnp.inf)
        surprise = -jax.nn.log_softmax(shaped) / jnp.log(2.0)
        return shaped, State(state.bound, surprise, jnp.ones_like(state.drawing))

    def observe(self, state: State, ids: jax.Array) -> State:
        """The state after ``ids: int32[B]``; the bound moves if they were drawn."""
        found = jnp.take_along_axis(state.surprise, ids[:, None], axis=-1)[:, 0]
        moved = state.bound - self.rate * (found - self.bits)
        bound = jnp.where(state.drawing & jnp.isfinite(found), moved, state.bound)
        return State(bound, state.surprise, jnp.zeros_like(state.drawing))
