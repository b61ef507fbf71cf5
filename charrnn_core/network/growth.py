"""The parameters of a network for a larger alphabet."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Params, Tree
from charrnn_core.errors import OptionError
from charrnn_core.network.context import TABLE
from charrnn_core.network.network import Network


def alphabet_axes(network: Network) -> Tree:
    """Return for each parameter the axis that has an element for each symbol; "" without one.

    It is the axis that is longer in the same network with one symbol more, so that a width which
    happens to equal the number of symbols is not taken for it.

    Raises:
        OptionError: a parameter grows in another way.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> alphabet_axes(Network(as_cell(nn.GRUCell(6)), symbols=6))["readout"]
    {'bias': 0, 'kernel': 1}
    """
    larger = replace(network, symbols=network.symbols + 1).shapes
    return jax.tree_util.tree_map_with_path(_axis, network.shapes, larger)


def grown(network: Network, params: Params, occurrences: npt.NDArray[np.integer[Any]]) -> Params:
    """Return parameters for an alphabet that has more symbols after those of a network.

    What a symbol has of its own is for a new one the mean of those that are known; but the bias of
    its logit follows from how often it occurs, ``b_i = log p_i + mean(b_j - log p_j)`` over the
    known symbols j that occur. A row of a context that is added to one-hot symbols has 0 for it.
    After known symbols, the logits of known symbols are what they were.

    Arguments:
        network, params: of the smaller alphabet.
        occurrences: how often the text to be learnt has each symbol of the larger one.

    Raises:
        OptionError: a parameter has not one axis, or none, for the alphabet.
    """
    known, more = network.symbols, len(occurrences) - network.symbols

    def longer(axis: int | str, array: Array) -> Array:
        if axis == "":
            return jnp.asarray(array)
        mean = jnp.mean(array, axis=int(axis), keepdims=True)
        return jnp.concatenate([array, jnp.repeat(mean, more, axis=int(axis))], axis=int(axis))

    larger = jax.tree.map(longer, alphabet_axes(network), params)
    if TABLE in params and larger[TABLE].shape != params[TABLE].shape:
        # A network divides rows by the root of their width, which has grown.
        rows = larger[TABLE].at[:, known:].set(0) * np.sqrt(1 + more / known, dtype=np.float32)
        larger = {**larger, TABLE: rows}
    log_p = np.log((occurrences + 0.5) / (occurrences + 0.5).sum())
    bias = np.array(larger["readout"]["bias"])
    seen = occurrences[:known] > 0
    apart = np.mean((bias - log_p)[:known], where=seen) if seen.any() else 0.0
    bias[known:] = log_p[known:] + apart
    readout = {**larger["readout"], "bias": jnp.asarray(bias)}
    return {**larger, "readout": readout}


def _axis(path: Tree, now: Array, larger: Array) -> int | str:
    """Return the axis; "" and not None for none, which a tree would lose."""
    sizes = zip(now.shape, larger.shape, strict=True)
    longer = [axis for axis, (size, other) in enumerate(sizes) if size != other]
    if not longer:
        return ""
    if len(longer) > 1 or larger.shape[longer[0]] != now.shape[longer[0]] + 1:
        raise OptionError(
            f"the parameter {jax.tree_util.keystr(path)} has shape {now.shape}, and with one "
            f"symbol more {larger.shape}: it cannot be carried to another alphabet; expected one "
            "axis with an element for each symbol"
        )
    return longer[0]
