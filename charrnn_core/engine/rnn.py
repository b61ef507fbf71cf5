"""The engine in place of ``flax.linen.RNN`` and ``flax.nnx.RNN``."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.cell import Cell
from charrnn_core.engine.unroll import unroll
from charrnn_core.errors import OptionError, shown
from charrnn_core.public import public


@public
def RNN(cell: Any, **options: Any) -> Any:
    """Return a module that applies a cell over a sequence, in place of flax's ``RNN``.

    It has the parameters, the arguments and the results of flax's, to the last places of a float.

    Arguments:
        cell: a flax linen RNN cell, for a ``flax.linen.RNN``; a flax nnx RNN cell, for a
            ``flax.nnx.RNN``; or a `Cell` of charrnn, for a linen one of ``as_flax(cell)``.
        options: ``time_major``, ``return_carry``, ``reverse``, ``keep_order``, for nnx ``rngs``;
            ``unroll`` is taken and has no effect.

    The module is called as flax's is: ``(inputs, initial_carry=..., seq_lengths=...,
    return_carry=..., time_major=..., reverse=..., keep_order=...)``, and ``init_key`` for linen.
    Of a linen cell only the collection ``params`` is read; what else a nnx cell has, such as
    random keys, is handed from step to step.

    Raises:
        OptionError: the cell is none of these, or an option tells flax how to scan: linen's
            ``variable_axes``, ``variable_broadcast``, ``variable_carry`` and ``split_rngs``, nnx's
            ``state_axes`` and ``broadcast_rngs``.

    >>> import flax.linen as nn
    >>> rnn = RNN(nn.GRUCell(4), return_carry=True)
    >>> params = rnn.init(jax.random.key(0), jnp.ones((2, 5, 3)))
    >>> carry, ys = rnn.apply(params, jnp.ones((2, 5, 3)))
    >>> carry.shape, ys.shape
    ((2, 4), (2, 5, 4))
    """
    # If the cell is a flax module, the library is imported already.
    linen, nnx = (sys.modules.get(f"flax.{name}") for name in ("linen", "nnx"))
    if nnx is not None and isinstance(cell, nnx.RNNCellBase):
        from charrnn_core.engine.nnx_rnn import NnxRNN

        return NnxRNN(cell, **options)
    is_linen = linen is not None and isinstance(cell, linen.RNNCellBase)
    if not is_linen and (isinstance(cell, type) or not isinstance(cell, Cell)):
        raise OptionError(
            f"RNN is given {shown(cell)}; expected an RNN cell of flax linen or nnx, or a Cell"
        )
    from charrnn_core.engine.linen_rnn import LinenRNN, as_flax

    return LinenRNN(as_flax(cell), **options)


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
