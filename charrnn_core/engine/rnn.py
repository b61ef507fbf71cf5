"""The engine in place of ``flax.linen.RNN`` and ``flax.nnx.RNN``."""

import sys
from typing import Any

from charrnn_core.cell import Cell
from charrnn_core.engine.linen_rnn import LinenRNN, as_flax
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

    >>> import flax.linen as nn, jax, jax.numpy as jnp
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
    return LinenRNN(as_flax(cell), **options)
