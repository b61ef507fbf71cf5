"""A model's prediction as whole numbers, which an entropy coder can divide without rounding."""

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array, Logits

BITS = 21
"""The frequencies of all symbols add up to 2^BITS.

Of 24 bits that float32 has, so that sums are exact; the coder is to have the others.
"""

TOTAL = 1 << BITS

MOST_SYMBOLS = TOTAL // 8
"""The largest alphabet: more would leave too little to tell symbols apart."""

_SIDE = 256
"""So many numbers are added up by one product."""


def starts_of(logits: Logits) -> Array:
    """Return where the interval of each symbol begins: whole numbers, ``float32[...,V]``.

        f_v = 1 + floor((TOTAL - V - spare) softmax(o)_v),  start_v = sum_{u < v} f_u

    Every symbol has a frequency of at least 1, so that any text can be coded. The last interval
    ends at `TOTAL`: it gets what rounding leaves. In float32 the softmax of V numbers may add up to
    1 + 2^-24 V, so an eighth of V has to be spare; a quarter is. What is not a number counts as 0.

    >>> starts_of(jnp.log(jnp.array([0.25, 0.75]))).tolist()
    [0.0, 524287.0]
    """
    symbols = logits.shape[-1]
    p = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
    shared = TOTAL - symbols - (symbols // 4 + 4)
    frequencies = 1 + jnp.floor(jnp.where(p > 0, p, 0) * shared)
    return sums_before(frequencies)


def interval(starts: Array, ids: Array) -> tuple[Array, Array]:
    """Return where the intervals of symbols begin, and their lengths: ``uint32[B]``.

    Arguments:
        starts: ``float32[B,V]``, from `starts_of`.
        ids: ``int32[B]``.
    """
    last = starts.shape[-1] - 1
    start = jnp.take_along_axis(starts, ids[:, None], axis=-1)[:, 0]
    after = jnp.take_along_axis(starts, jnp.minimum(ids + 1, last)[:, None], axis=-1)[:, 0]
    end = jnp.where(ids == last, jnp.float32(TOTAL), after)
    return start.astype(jnp.uint32), (end - start).astype(jnp.uint32)


def symbol_at(starts: Array, place: Array) -> Array:
    """Return the symbols in whose intervals places are: ``int32[B]``.

    Arguments:
        starts: ``float32[B,V]``, from `starts_of`.
        place: ``uint32[B]``, below `TOTAL`.

    >>> symbol_at(jnp.array([[0.0, 5, 9]]), jnp.array([8], jnp.uint32)).tolist()
    [1]
    """
    begun = starts <= place.astype(jnp.float32)[:, None]
    return jnp.sum(begun, axis=-1, dtype=jnp.int32) - 1


def sums_before(numbers: Array) -> Array:
    """Return for each number the sum of those before it in the last axis.

    Whole numbers whose sum is below 2^24 are added exactly, in whatever order. It is a product with
    a triangle of ones, which is many times as fast as ``jnp.cumsum``.

    >>> sums_before(jnp.array([3.0, 1, 2])).tolist()
    [0.0, 3.0, 4.0]
    """
    count = numbers.shape[-1]
    if count <= _SIDE:
        ones = np.triu(np.ones((count, count), np.float32), 1)
        return jnp.matmul(numbers, ones, precision=jax.lax.Precision.HIGHEST)
    rows = -(-count // _SIDE)
    pad = [(0, 0)] * (numbers.ndim - 1) + [(0, rows * _SIDE - count)]
    split = jnp.pad(numbers, pad).reshape(*numbers.shape[:-1], rows, _SIDE)
    before = sums_before(split.sum(axis=-1))
    added = sums_before(split) + before[..., None]
    return added.reshape(*numbers.shape[:-1], rows * _SIDE)[..., :count]
