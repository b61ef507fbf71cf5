"""A sequence read by the engine as flax's ``RNN`` reads it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.engine.unroll import unroll
from charrnn_core.errors import OptionError


def refuse(options: dict[str, Any]) -> None:
    """Raise `OptionError` for options of flax's ``RNN`` that were given and cannot be honoured."""
    for name in options:
        raise OptionError(
            f"RNN is given {name}, which tells flax how to scan and means nothing to the engine; "
            "leave it out, or use flax's own RNN"
        )


def apply_over_time(
    step: Callable[[Params, Carry, Array], tuple[Carry, Array]],
    params: Params,
    carry: Carry,
    inputs: Array,
    *,
    time_axis: int,
    seq_lengths: Array | None,
    reverse: bool,
    keep_order: bool,
    last_of: Callable[[Carry], Carry] | None,
) -> tuple[Carry, Array, Carry | None]:
    """Read a sequence as flax's ``RNN`` does.

    Arguments:
        time_axis: the axis of time in `inputs`; those before it are of the batch.
        last_of: the part of a carry that is wanted after the last step of every row, which is the
            one at `seq_lengths`; None if it is not wanted.

    Returns:
        The carry after all steps, the outputs with time where the inputs have it, and that part.
    """
    xs = jnp.moveaxis(inputs, time_axis, 0)
    if reverse:
        xs = turned(xs, seq_lengths)
    keeps = last_of if seq_lengths is not None else None

    def read(params: Params, carry: Carry, x: Array) -> tuple[Carry, Tree]:
        carry, y = step(params, carry, x)
        return carry, (y, None if keeps is None else keeps(carry))

    end, (ys, carries) = unroll(read, params, carry, xs)
    if reverse and keep_order:
        ys = jax.tree.map(lambda leaf: turned(leaf, seq_lengths), ys)
    last = None if last_of is None else last_of(end)
    if keeps is not None and seq_lengths is not None:
        last = jax.tree.map(lambda leaf: _at(leaf, seq_lengths - 1), carries)
    return end, jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, time_axis), ys), last


def turned(xs: Array, lengths: Array | None) -> Array:
    """Return a sequence ``[T, ...]`` backwards; what is beyond its length stays behind it.

    >>> turned(jnp.array([[1, 1], [2, 2], [0, 3]]), jnp.array([2, 3]))[:, 0].tolist()
    [2, 1, 0]
    """
    if lengths is None:
        return jnp.flip(xs, axis=0)
    steps = xs.shape[0]
    backwards = jnp.arange(steps)[::-1].reshape(-1, *[1] * lengths.ndim)
    places = (backwards + lengths[None]) % steps
    return jnp.take_along_axis(xs, _aligned(places, xs), axis=0)


def _at(leaf: Array, places: Array) -> Array:
    """Return the element of ``[T, ...]`` at each row's place."""
    return jnp.take_along_axis(leaf, _aligned(places[None], leaf), axis=0)[0]


def _aligned(places: Array, leaf: Array) -> Array:
    return places.reshape(places.shape + (1,) * (leaf.ndim - places.ndim))
