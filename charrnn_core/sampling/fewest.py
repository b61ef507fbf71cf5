"""The fewest symbols that reach a sum: without sorting, and without comparing all pairs."""

from typing import Any

import jax
import jax.numpy as jnp


def fewest(order: jax.Array, weights: jax.Array, wanted: Any) -> jax.Array:
    """Return the fewest symbols whose weights reach a sum, taken by ascending order.

    They are the symbols before a bound, and as many of those at it as are needed. The bound is the
    largest one before which the weights do not reach the sum, found bit by bit. That takes a tenth
    of the time of sorting, and memory for ``[B,V]`` where comparing all pairs takes ``[B,V,V]``.

    Arguments:
        order: float[B,V]; among equals the first one comes first.
        weights: of the symbols, [B,V].
        wanted: the sum, for all rows or [B,1].

    >>> fewest(jnp.array([[3.0, 1.0, 2.0]]), jnp.array([[0.5, 0.3, 0.2]]), 0.4).tolist()
    [[False, True, True]]
    """
    keys = _ordered_bits(order)
    kind, bits = keys.dtype, 8 * keys.dtype.itemsize

    def with_bit(place: jax.Array, bound: jax.Array) -> jax.Array:
        more = bound | jnp.left_shift(jnp.array(1, kind), (bits - 1 - place).astype(kind))
        before = jnp.sum(jnp.where(keys < more, weights, 0), axis=-1, keepdims=True)
        return jnp.where(before < wanted, more, bound)

    bound = jax.lax.fori_loop(0, bits, with_bit, jnp.zeros((*order.shape[:-1], 1), kind))
    at = jnp.where(keys == bound, weights, 0)
    before = jnp.sum(jnp.where(keys < bound, weights, 0), axis=-1, keepdims=True)
    return (keys < bound) | ((keys == bound) & (before + jnp.cumsum(at, axis=-1) - at < wanted))


def _ordered_bits(numbers: jax.Array) -> jax.Array:
    """Return unsigned integers that are ordered as the numbers are."""
    bits = 8 * numbers.dtype.itemsize
    kind = jnp.dtype(f"uint{bits}")
    found = jax.lax.bitcast_convert_type(numbers + 0.0, kind)  # -0 becomes 0
    top = jnp.array(1 << (bits - 1), kind)
    return jnp.where(found >= top, ~found, found | top)
