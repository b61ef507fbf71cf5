"""The devices that share the streams."""

import jax
from jax.sharding import AxisType, Mesh

from charrnn_core.errors import DeviceError

_LEAST_STREAMS = 4
"""Streams to each device; with fewer, a step is too short to be worth a second device."""


def fitting_shards(streams: int, devices: int) -> int:
    """Return how many devices share the streams evenly, 4 or more to each.

    >>> fitting_shards(32, 2), fitting_shards(7, 2), fitting_shards(12, 8)
    (2, 1, 3)
    """
    most = max(1, min(devices, streams // _LEAST_STREAMS))
    return max(n for n in range(1, most + 1) if streams % n == 0)


def data_mesh(shards: int) -> Mesh:
    """Make a mesh named ``data`` over the first `shards` devices.

    Raises:
        DeviceError: there are fewer devices.
    """
    devices = jax.devices()
    if len(devices) < shards:
        raise DeviceError(
            f"the batch is split into {shards} shards, but jax sees {len(devices)} devices; set "
            f"JAX_NUM_CPU_DEVICES={shards} before jax is imported (fewer cores are fine), or, if "
            "results need not be bit for bit the same, use: charrnn resume --allow-change shards"
        )
    return jax.make_mesh(
        (shards,), ("data",), axis_types=(AxisType.Auto,), devices=devices[:shards]
    )
