"""What figures of speed and memory depend on: the machine and the versions."""

import os
import platform
from importlib.metadata import version

_PACKAGES = ("charrnn", "jax", "jaxlib", "flax", "optax")


def describe_machine() -> str:
    """The processor, how many of it, and the system, in one line.

    >>> " CPUs, " in describe_machine()
    True
    """
    return f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
        return names[0]
    except (OSError, IndexError):  # not Linux, or a processor that has no name there
        return platform.processor() or "unknown processor"


def versions() -> dict[str, str]:
    """The versions of what computes, by package; nothing of it is imported.

    >>> list(versions())[:2]
    ['python', 'charrnn']
    """
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
