"""The entropy coder: the range variant of asymmetric numeral systems, with many 32-bit states.

What is coded last is decoded first. So a block is encoded from its end, and its bytes are read from
the beginning.

Source: Duda 2013, Asymmetric numeral systems, arXiv 1311.2540; states that share one sequence of
bytes are by Giesen 2014, Interleaved entropy coders, arXiv 1402.3392.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array
from charrnn_core.compression.distribution import BITS

START = 1 << 24
"""The least state between two symbols, with which encoding begins and decoding ends."""

MOST_BYTES = 3
"""The most bytes that a symbol moves in or out of a state."""

_ROOM = 32 - BITS


class Intervals(NamedTuple):
    """The parts of ``0 .. 2^BITS`` that stand for the symbols of T steps of B streams.

    Fields:
        starts: uint32[T,B].
        lengths: uint32[T,B]; 0 where a stream has no symbol.
    """

    starts: Any
    lengths: Any


@jax.jit
def _push(states: Array, intervals: Intervals) -> tuple[Array, tuple[Array, Array]]:
    """Encode the steps from last to first; return the states, and what leaves them at each step.

        s' = 2^BITS floor(s / f) + start + s mod f

    after as many bytes have left s, the lowest first, as s' takes to stay below 2^32.
    """

    def push(states: Array, interval: Intervals) -> tuple[Array, tuple[Array, Array]]:
        starts, lengths = interval
        present = lengths > 0
        f = jnp.maximum(lengths, 1)
        shifts = jnp.array([_ROOM + 8 * k for k in range(MOST_BYTES)], jnp.uint32)
        too_large = states[:, None] >> shifts[None] >= f[:, None]
        leaving = jnp.sum(too_large, axis=1, dtype=jnp.uint32)
        leaving = jnp.where(present, leaving, jnp.uint32(0))
        kept = states >> (8 * leaving)
        after = ((kept // f) << BITS) + starts + kept % f
        return jnp.where(present, after, states), (states - (kept << (8 * leaving)), leaving)

    return jax.lax.scan(push, states, intervals, reverse=True)


def encode(
    intervals: Intervals, states: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.uint32], bytes]:
    """Return the states before some steps, and the bytes that `pull` reads back during these.

    Arguments:
        intervals: those of the symbols of the steps.
        states: ``uint32[B]``, those after the steps.

    >>> two = Intervals(np.full((9, 1), 1 << 20, np.uint32), np.full((9, 1), 1 << 20, np.uint32))
    >>> states, data = encode(two, np.array([START], np.uint32))
    >>> states[0] // START, len(data)  # 9 bits: 8 have left the state
    (np.uint32(2), 1)
    """
    states, (low, leaving) = jax.device_get(_push(states, intervals))
    # The decoder shifts them into a state in this order: of each step, then stream, the highest.
    shifted = low << (8 * (MOST_BYTES - leaving))
    places = np.arange(MOST_BYTES, dtype=np.uint32)
    parts = (shifted[..., None] >> 8 * (MOST_BYTES - 1 - places)).astype(np.uint8)
    return states, parts[places < leaving[..., None]].tobytes()


def place_of(states: Array) -> Array:
    """Return the place in ``0 .. 2^BITS`` that each state points at: that of its next symbol."""
    return states & (1 << BITS) - 1


def pull(
    states: Array, start: Array, length: Array, present: Array, data: Array, at: Array
) -> tuple[Array, Array]:
    """Take a symbol out of every state, and move bytes in; the inverse of a step of encoding.

        s' = f floor(s / 2^BITS) + s mod 2^BITS - start

    Arguments:
        states: ``uint32[B]``.
        start, length: ``uint32[B]``, the interval of each symbol.
        present: ``bool[B]``, which streams have one.
        data: ``uint8[N]``.
        at: ``int32``, the next byte to read.

    Returns:
        The states, and the next byte to read.
    """
    emptier = length * (states >> BITS) + place_of(states) - start
    states = jnp.where(present, emptier, states)
    thresholds = jnp.array([START >> 8 * k for k in range(MOST_BYTES)], jnp.uint32)
    missing = jnp.sum(states[:, None] < thresholds[None], axis=1, dtype=jnp.int32)
    before = jnp.cumsum(missing) - missing
    where = (at + before)[:, None] + jnp.arange(MOST_BYTES)[None]
    read = data[where].astype(jnp.uint32)
    moved = read[:, 0] << 16 | read[:, 1] << 8 | read[:, 2]
    bits = (8 * missing).astype(jnp.uint32)
    return states << bits | moved >> (24 - bits), at + jnp.sum(missing)
