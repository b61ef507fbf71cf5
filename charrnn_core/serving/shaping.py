"""How each slot shapes the distribution that it draws from, in numbers that a program reads."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Logits
from charrnn_core.sampling.fewest import fewest

_LEAST = 1e-30
"""The smallest temperature; dividing by less would overflow."""


class Shaping(NamedTuple):
    """A distribution: what is drawn from, for one slot or, as arrays ``[B]``, for all.

    The logits are divided by the temperature, then symbols are left out. Numbers that leave out
    nothing: a top_k of 0, a top_p of 1, a min_p of 0.

    Fields:
        own: whether the other numbers count; otherwise the server's chain of samplers shapes.
        temperature: T; 0 takes the likeliest symbol.
        top_k: how many symbols are kept, the likeliest.
        top_p: the probability that the kept symbols reach.
        min_p: the least probability that is kept, relative to the largest.
    """

    own: Any = False
    temperature: Any = 1.0
    top_k: Any = 0
    top_p: Any = 1.0
    min_p: Any = 0.0


def shaped(logits: Logits, how: Shaping) -> Logits:
    """Return the logits of all slots, minus infinity for what is left out: ``float32[B,V]``.

    >>> one = Shaping(*(jnp.array([x]) for x in (True, 0.5, 0, 0.6, 0.0)))
    >>> jnp.isfinite(shaped(jnp.log(jnp.array([[0.2, 0.5, 0.3]])), one)).tolist()
    [[False, True, False]]
    """
    truncated = jnp.any(how.own & ((how.top_k > 0) | (how.top_p < 1)))
    how = Shaping(*(jnp.asarray(field)[:, None] for field in how))
    symbols = logits.shape[-1]
    best = jax.nn.one_hot(jnp.argmax(logits, axis=-1), symbols, dtype=bool)
    tempered = logits / jnp.maximum(how.temperature, _LEAST)
    mass = jax.nn.softmax(tempered)

    def likeliest() -> Array:
        count = jnp.where(how.top_k > 0, how.top_k, symbols)
        kept = fewest(-tempered, jnp.ones(logits.shape, jnp.int32), count)
        return kept & ((how.top_p >= 1) | fewest(-tempered, mass, how.top_p))

    # Most often nobody asks for it, and it would take half of the time of a step.
    kept = jax.lax.cond(truncated, likeliest, lambda: jnp.ones(logits.shape, bool))
    kept &= mass >= how.min_p * mass.max(axis=-1, keepdims=True)
    kept = jnp.where(how.temperature > 0, kept | best, best)
    return jnp.where(kept, tempered, -jnp.inf)
