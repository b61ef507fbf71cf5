"""An optimizer's update of a portion of the parameters: of a table only the rows that were read.

The optimizer sees a table of the rows that a window reads. The norm of the gradient is that of the
whole table, while what an optimizer does to rows without a gradient is not done to rows that are
not read: the moments of Adam neither decay nor move them (the *lazy* Adam of TensorFlow, the
*sparse* one of PyTorch). A row that every update reads is treated as if the table were dense.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import optax

from charrnn_core.arrays import Params, Shaped, Tree
from charrnn_core.errors import OptionError
from charrnn_core.network.context import TABLE
from charrnn_core.network.portion import Portion
from charrnn_core.training.moving import Moving
from charrnn_core.training.state import TrainState

Axes = tuple[int, ...]
"""For every leaf of an optimizer's state the axis along which it has the table's rows, or -1."""


def changed(
    optimizer: optax.GradientTransformation,
    state: TrainState,
    portion: Portion,
    grads: Params,
    moving: Moving,
) -> tuple[Params, optax.OptState]:
    """Return the parameters and the optimizer's state after an update.

    Arguments:
        optimizer: of the whole run.
        state: before the update.
        portion: what the window uses of the parameters.
        grads: the gradient of that.
        moving: which parameters move, and how fast.
    """
    axes = row_axes(optimizer, state.params, state.opt_state)
    some = portion.take(state.params)
    with _mixing_dtypes():
        opt_state = take_state(portion, state.opt_state, axes)
        changes, opt_state = optimizer.update(grads, opt_state, some)
    changes = jax.tree.map(lambda leaf: leaf * state.scale.astype(leaf.dtype), changes)
    params = portion.put(state.params, optax.apply_updates(some, moving.scaled(changes)))
    return moving.kept(state.params, params), put_state(portion, state.opt_state, opt_state, axes)


def _mixing_dtypes() -> contextlib.AbstractContextManager[None]:
    """Let optax mix dtypes even if the user has made JAX strict, for their own code."""
    return jax.numpy_dtype_promotion("standard")


def row_axes(optimizer: optax.GradientTransformation, params: Params, opt_state: Tree) -> Axes:
    """Find where an optimizer's state has the rows of the table.

    It is asked for the state of a table with one row more.

    Arguments:
        params, opt_state: the parameters and the optimizer's state, or their shapes.

    Raises:
        OptionError: a leaf has the rows along several axes, so that no row stands for itself.

    >>> params = {"context": jax.ShapeDtypeStruct((8, 3), "float32")}
    >>> row_axes(optax.adam(1.0), params, jax.eval_shape(optax.adam(1.0).init, params))
    (-1, 0, 0)
    """
    leaves = jax.tree.leaves(opt_state)
    if TABLE not in params:
        return (-1,) * len(leaves)
    table = params[TABLE]
    more = jax.ShapeDtypeStruct((table.shape[0] + 1, *table.shape[1:]), table.dtype)
    init: Callable[[Params], Any] = optimizer.init
    others = jax.tree.leaves(jax.eval_shape(init, {**params, TABLE: more}))
    return tuple(_differing_axis(*pair) for pair in zip(leaves, others, strict=True))


def _differing_axis(leaf: Shaped, other: Shaped) -> int:
    axes = [i for i, size in enumerate(leaf.shape) if size != other.shape[i]]
    if len(axes) > 1:
        raise OptionError(
            f"the optimizer keeps an array of shape {list(leaf.shape)} for the rows of the "
            "context; expected at most one axis of rows: use --context 0, or another optimizer"
        )
    return axes[0] if axes else -1


def take_state(portion: Portion, opt_state: Tree, axes: Axes) -> Tree:
    """Take the portion of an optimizer's state."""
    leaves, structure = jax.tree.flatten(opt_state)
    pairs = zip(leaves, axes, strict=True)
    return structure.unflatten(
        [leaf if axis < 0 else portion.take_rows(leaf, axis) for leaf, axis in pairs]
    )


def put_state(portion: Portion, opt_state: Tree, changed: Tree, axes: Axes) -> Tree:
    """Return an optimizer's state with the portion changed."""
    leaves, structure = jax.tree.flatten(opt_state)
    each = zip(leaves, jax.tree.leaves(changed), axes, strict=True)
    return structure.unflatten(
        [new if axis < 0 else portion.put_rows(old, new, axis) for old, new, axis in each]
    )
