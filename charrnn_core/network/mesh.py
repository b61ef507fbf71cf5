"""The devices that share the streams, of this process or of many, and the arrays on them."""

from itertools import groupby
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from charrnn_core.arrays import Array, Tree
from charrnn_core.errors import DeviceError
from charrnn_core.sharing import AXIS

_LEAST_STREAMS = 4
"""Streams to each device; with fewer, a step is too short to be worth a second device."""


def fitting_shards(streams: int, devices: int, processes: int = 1) -> int:
    """Return how many devices share the streams evenly, 4 or more to each, as many of each process.

    If processes cannot share them so, it is their number.

    >>> fitting_shards(32, 2), fitting_shards(7, 2), fitting_shards(12, 8), fitting_shards(32, 9, 2)
    (2, 1, 3, 8)
    """
    most = max(processes, min(devices, streams // _LEAST_STREAMS))
    fitting = (n for n in range(processes, most + 1, processes) if streams % n == 0)
    return max(fitting, default=processes)


def data_mesh(shards: int) -> Mesh:
    """Make a mesh named ``data`` over the first `shards` devices, of every process as many.

    Raises:
        DeviceError: there are fewer devices.
    """
    by_process = [[*some] for _, some in groupby(jax.devices(), lambda each: each.process_index)]
    each = -(-shards // len(by_process))
    devices = [device for some in by_process for device in some[:each]][:shards]
    if len(devices) < shards:
        raise DeviceError(
            f"the batch is split into {shards} shards, but jax sees {len(jax.devices())} devices; "
            f"set JAX_NUM_CPU_DEVICES={each} before jax is imported (fewer cores are fine), or, if "
            "results need not be bit for bit the same, use: charrnn resume --allow-change shards"
        )
    return jax.make_mesh((shards,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def own_mesh(shards: int) -> Mesh:
    """Make a mesh named ``data`` over the first `shards` devices of this process."""
    devices = jax.local_devices()[:shards]
    return jax.make_mesh((shards,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def spread(tree: Tree, layout: Tree) -> Tree:
    """Lay arrays out over devices, those of other processes among them; all call it with the same.

    Arguments:
        tree: arrays of the host or of a device of this process, or arrays that are laid out so.
        layout: a sharding for all, or for each.
    """
    placements = jax.tree.leaves(layout)
    if all(placement.is_fully_addressable for placement in placements):
        return jax.device_put(tree, layout)
    if len(placements) == 1:
        return jax.tree.map(lambda leaf: _spread(leaf, placements[0]), tree)
    return jax.tree.map(_spread, tree, layout)


def _spread(leaf: Any, placement: NamedSharding) -> Array:
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.device_put(leaf, placement)
    if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        bits = _spread(jax.random.key_data(leaf), placement)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, placement, lambda index: whole[index])


def fetched(leaf: Any) -> npt.NDArray[Any]:
    """Return an array on the host, gathered from all processes that have a part of it.

    If there are others than this one, all have to call it.
    """
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf)


def on_host(leaf: Array) -> Any:
    """Return an array on the host, if NumPy has its type and no other process a part of it."""
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) or not leaf.is_fully_addressable:
        return leaf
    return np.asarray(leaf)


def own(tree: Tree) -> Tree:
    """Return this process's copy of arrays that every device has."""
    return jax.tree.map(lambda leaf: _own(leaf) if isinstance(leaf, jax.Array) else leaf, tree)


def _own(leaf: Array) -> Array:
    return leaf if leaf.is_fully_addressable else leaf.addressable_data(0)
