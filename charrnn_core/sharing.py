"""Work that the devices of a training share, where otherwise each of them would do all of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from charrnn_core.arrays import Array

AXIS = "data"
"""The name of the axis of the mesh along which devices share the streams."""


def shares() -> int:
    """Return how many devices share the streams, inside the part of a program that each runs alone.

    Elsewhere it is 1.

    >>> shares()
    1
    """
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape[AXIS] if AXIS in mesh.manual_axes else 1


def shared(function: Callable[[Array], Array], stack: Array) -> Array:
    """Return ``function(stack)``, each device computing a share of the rows.

    Devices split the streams, and every one of them makes the same update of the parameters. An
    optimizer whose update is long can share it out.

    Arguments:
        function: maps ``[N,...]`` to ``[N,...]``, each row of the first axis by itself.
        stack: what it is applied to; zeros are appended if the devices do not divide N.

    Outside a training, and with one device, it is the function alone.

    >>> shared(lambda rows: 2 * rows, jnp.arange(3.0)).tolist()
    [0.0, 2.0, 4.0]
    """
    mesh = jax.sharding.get_abstract_mesh()
    devices = mesh.shape.get(AXIS, 1)
    if devices == 1:
        return function(stack)
    rows = len(stack)
    padding = [(0, -rows % devices)] + [(0, 0)] * (stack.ndim - 1)
    split = jax.lax.with_sharding_constraint(jnp.pad(stack, padding), PartitionSpec(AXIS))
    result = jax.lax.with_sharding_constraint(function(split), PartitionSpec(AXIS))
    return jax.lax.with_sharding_constraint(result, PartitionSpec())[:rows]
