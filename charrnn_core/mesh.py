"""The devices that share the streams."""

import jax
from jax.sharding import AxisType, Mesh

_LEAST_STREAMS = 4
"""Streams to each device; with fewer, a step is too short to be worth a second device."""


def data_mesh(streams: int) -> Mesh:
    """A mesh named ``data`` over devices that share the streams evenly, 4 or more to each."""
    devices = jax.devices()
    most = max(1, min(len(devices), streams // _LEAST_STREAMS))
    count = max(n for n in range(1, most + 1) if streams % n == 0)
    return jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,), devices=devices[:count])
