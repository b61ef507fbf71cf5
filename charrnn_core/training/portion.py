"""What an update touches: all parameters, or of the context's table the rows that were read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import optax

from charrnn_core.arrays import Array, Carry, Ids, Params, Shaped, Tree
from charrnn_core.errors import OptionError
from charrnn_core.network.network import Network
from charrnn_core.network.reading import Lookup
from charrnn_core.network.touched import Touched

_TABLE = "context"
"""The parameter of which an update touches only some rows."""


class Portion(Protocol):
    """A portion of the parameters, and of an optimizer's state."""

    def params(self, params: Params) -> Params:
        """Take the portion of the parameters."""
        ...

    def opt_state(self, opt_state: Tree) -> Tree:
        """Take the portion of the optimizer's state."""
        ...

    def put_params(self, params: Params, changed: Params) -> Params:
        """Return the parameters with the portion changed."""
        ...

    def put_opt_state(self, opt_state: Tree, changed: Tree) -> Tree:
        """Return the optimizer's state with the portion changed."""
        ...


class Everything:
    """All parameters and all of the optimizer's state."""

    def params(self, params: Params) -> Params:
        return params

    def opt_state(self, opt_state: Tree) -> Tree:
        return opt_state

    def put_params(self, params: Params, changed: Params) -> Params:
        del params
        return changed

    def put_opt_state(self, opt_state: Tree, changed: Tree) -> Tree:
        del opt_state
        return changed


@dataclass(frozen=True)
class RowsRead:
    """All parameters, but of the context's table the rows that a window read.

    The optimizer sees a table with a row for each reading. A row read several times has its
    gradient, the sum over its readings, at the first; the others have none and what becomes of them
    is dropped. So the norm of the gradient is that of the whole table, while what an optimizer
    does to rows without a gradient is not done to rows that are not read: the moments of Adam do
    not decay and do not move them (the *lazy* Adam of TensorFlow and the *sparse* one of PyTorch).
    A row whose every update reads it is treated exactly as if the table were dense.

    Arguments:
        touched: the rows.
        axes: for every leaf of the optimizer's state the axis along which it has the rows of the
            table, or -1.
    """

    touched: Touched
    axes: tuple[int, ...]

    def params(self, params: Params) -> Params:
        return {**params, _TABLE: self.touched.take(params[_TABLE])}

    def opt_state(self, opt_state: Tree) -> Tree:
        leaves, structure = jax.tree.flatten(opt_state)
        pairs = zip(leaves, self.axes, strict=True)
        some = [leaf if axis < 0 else self.touched.take(leaf, axis) for leaf, axis in pairs]
        return structure.unflatten(some)

    def put_params(self, params: Params, changed: Params) -> Params:
        return {**changed, _TABLE: self.touched.put(params[_TABLE], changed[_TABLE])}

    def put_opt_state(self, opt_state: Tree, changed: Tree) -> Tree:
        leaves, structure = jax.tree.flatten(opt_state)
        each = zip(leaves, jax.tree.leaves(changed), self.axes, strict=True)
        return structure.unflatten(
            [new if axis < 0 else self.touched.put(old, new, axis) for old, new, axis in each]
        )


def portion_read(
    network: Network,
    optimizer: optax.GradientTransformation,
    carry: Carry,
    inputs: Ids,
    readings: Array | None,
) -> tuple[Portion, Lookup | None]:
    """Return what an update touches, and how the context looks up its rows in it.

    Arguments:
        carry, inputs: the network's carry before a window, and the window, ``int32[T,B]``.
        readings: float32[rows], how often the training text reads each row; or None.
    """
    rows = network.rows_read(carry, inputs)
    if rows is None:
        return Everything(), None
    touched = Touched.of(rows, network.context.rows)
    lookup = Lookup(
        touched.places.reshape(rows.shape), None if readings is None else readings[rows]
    )
    return RowsRead(touched, row_axes(optimizer, network.shapes)), lookup


def row_axes(optimizer: optax.GradientTransformation, params: Params) -> tuple[int, ...]:
    """Return for every leaf of an optimizer's state the axis of the table's rows, or -1.

    It is found by asking for the state of a table with one row more.

    Arguments:
        params: the parameters, or their shapes.

    Raises:
        OptionError: a leaf has the rows along several axes, so that no row stands for itself.

    >>> params = {"context": jax.ShapeDtypeStruct((8, 3), "float32")}
    >>> row_axes(optax.adam(1.0), params)
    (-1, 0, 0)
    """
    table = params[_TABLE]
    more = jax.ShapeDtypeStruct((table.shape[0] + 1, *table.shape[1:]), table.dtype)
    init: Callable[[Params], Any] = optimizer.init
    leaves, others = (
        jax.tree.leaves(jax.eval_shape(init, each)) for each in (params, {**params, _TABLE: more})
    )
    return tuple(_differing_axis(*pair) for pair in zip(leaves, others, strict=True))


def _differing_axis(leaf: Shaped, other: Shaped) -> int:
    axes = [i for i, size in enumerate(leaf.shape) if size != other.shape[i]]
    if len(axes) > 1:
        raise OptionError(
            f"the optimizer keeps an array of shape {list(leaf.shape)} for the rows of the "
            "context; expected at most one axis of rows: use --context 0, or another optimizer"
        )
    return axes[0] if axes else -1
