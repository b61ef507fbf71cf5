"""The machine and the versions, on which figures of speed and memory depend."""

import os
import platform
from importlib.metadata import version

from charrnn_core.devices import processor

_PACKAGES = ("charrnn", "jax", "jaxlib", "flax", "optax")


def describe_machine() -> str:
    """Describe the processor, the number of CPUs and the system on one line.

    >>> " CPUs, " in describe_machine()
    True
    """
    return f"{processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    """Return the versions of Python and the numerical packages, without importing them.

    >>> list(versions())[:2]
    ['python', 'charrnn']
    """
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
