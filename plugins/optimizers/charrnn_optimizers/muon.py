"""Muon for the matrices of a cell, and Adam for all else."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import optax

from charrnn_core.arrays import Array, Params, Shaped, Tree
from charrnn_core.schedules import Steps
from charrnn_core.sharing import shared
from charrnn_optimizers.optimizers import clipped, scheduled
from charrnn_optimizers.polar import polar_factors

_MUON, _ADAM = "muon", "adam"
_CELL, _READOUT = "cell", "readout"


def muon(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return Muon: ``m = momentum m + g;  W -= rate s U V^T``, where ``momentum m + g = U S V^T``.

    ``s = sqrt(max(1, columns / rows))``. That is for the matrices of the cell; everything else is
    changed by Adam, with `adam_rate` in place of `learning_rate`.

    Source: Jordan et al., Muon, 2024, https://kellerjordan.github.io/posts/muon/.
    """
    adam = optax.scale_by_adam(options.b1, options.b2)
    share = options.adam_rate / options.learning_rate
    return clipped(
        options,
        optax.chain(
            optax.multi_transform(
                {
                    _MUON: optax.trace(options.momentum, nesterov=True),
                    _ADAM: optax.chain(adam, optax.scale(share)),
                },
                roles,
            ),
            optax.stateless(lambda changes, _: orthogonalized(changes, options.steps)),
            optax.add_decayed_weights(options.weight_decay, mask=_of_muon)
            if options.weight_decay
            else optax.identity(),
            optax.scale_by_learning_rate(scheduled(options, total_steps)),
        ),
    )


def roles(params: Params) -> Tree:
    """Say for each parameter who changes it: ``"muon"`` a matrix of the cell, ``"adam"`` the rest.

    The cell's are those under ``"cell"``, or all if there is no such part. A matrix has two rows
    and columns or more; what has further axes, such as ``[heads,rows,columns]``, is many of them.

    >>> roles({"cell": {"W": jnp.ones((4, 4)), "b": jnp.ones(4)}, "embedding": jnp.ones((9, 4))})
    {'cell': {'W': 'muon', 'b': 'adam'}, 'embedding': 'adam'}
    """
    whole = _is_network(params)

    def role(path: Any, leaf: Shaped) -> str:
        of_cell = not whole or path[0].key == _CELL
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return _MUON if of_cell and real and min(leaf.shape[-2:] or (0,)) > 1 < leaf.ndim else _ADAM

    return jax.tree_util.tree_map_with_path(role, params)


def _is_network(params: Params) -> bool:
    return isinstance(params, Mapping) and _CELL in params


def _of_muon(params: Params) -> Tree:
    return jax.tree.map(lambda role: role == _MUON, roles(params))


def orthogonalized(changes: Tree, steps: int) -> Tree:
    """Return the tree with each matrix of the cell made about orthogonal, times ``s``; see `muon`.

    Matrices of the same shape are one batch, and the devices share it. The weights of several gates
    side by side are cut apart: the columns are as many gates as the widest vector that a matrix of
    the cell or the readout reads, most often the state, fits into them; if none does, one.

    Arguments:
        changes: float arrays, as `roles` expects them.
        steps: as for `charrnn_optimizers.polar.polar_factors`.
    """
    leaves, structure = jax.tree.flatten(changes)
    widths = _widths(changes)
    alike = defaultdict[tuple[int, ...], dict[int, Array]](dict)
    for i, role in enumerate(jax.tree.leaves(roles(changes))):
        if role == _MUON:
            gates = _apart(leaves[i], _gate_width(leaves[i], widths))
            alike[gates.shape[1:]][i] = gates
    for stacks in alike.values():
        joined = jnp.concatenate(list(stacks.values()))
        factors = shared(partial(_scaled_factors, steps=steps), joined)
        ends = list(accumulate(map(len, stacks.values())))
        for i, gates in zip(stacks, jnp.split(factors, ends[:-1]), strict=True):
            leaves[i] = _together(gates, leaves[i].shape)
    return jax.tree.unflatten(structure, leaves)


def _widths(changes: Tree) -> set[int]:
    """Return the widths of what the matrices of the cell and the readout read."""
    readers = changes
    if _is_network(changes):
        readers = [changes[name] for name in (_CELL, _READOUT) if name in changes]
    shapes = [leaf.shape[-2:] for leaf in jax.tree.leaves(readers)]
    return {shape[0] for shape in shapes if len(shape) == 2 and shape[0] > 1}


def _gate_width(matrix: Array, widths: Iterable[int]) -> int:
    columns = matrix.shape[-1]
    return max((width for width in widths if columns % width == 0), default=columns)


def _apart(matrix: Array, width: int) -> Array:
    """Return the gates of ``[...,rows,gates*width]`` as one batch, ``[N,rows,width]``."""
    rows, columns = matrix.shape[-2:]
    gates = matrix.reshape(-1, rows, columns // width, width)
    return jnp.moveaxis(gates, 2, 1).reshape(-1, rows, width)


def _together(gates: Array, shape: tuple[int, ...]) -> Array:
    """Return what `_apart` has cut."""
    rows, columns = shape[-2:]
    width = gates.shape[-1]
    return jnp.moveaxis(gates.reshape(-1, columns // width, rows, width), 1, 2).reshape(shape)


def _scaled_factors(matrices: Array, steps: int) -> Array:
    """Return ``sqrt(max(1, columns / rows)) U V^T`` of ``float[N,rows,columns]``."""
    rows, columns = matrices.shape[-2:]
    wide = matrices.astype(jnp.float32)
    if rows > columns:
        factors = polar_factors(wide.mT, steps).mT
    else:
        factors = (columns / rows) ** 0.5 * polar_factors(wide, steps)
    return factors.astype(matrices.dtype)
