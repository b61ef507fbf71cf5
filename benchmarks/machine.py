"""The conditions of a measurement: the machine, the versions, the command, the load."""

import os
import platform
import shlex
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("charrnn", "jax", "jaxlib", "flax", "optax", "numpy", "torch")


def machine() -> dict[str, Any]:
    """Return a table to print with the figures; call it before measuring, because of the load."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "processor": _processor(),
        "load before": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()} | dict(_versions()),
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["python", *sys.argv]),
    }


def print_machine(about: dict[str, Any]) -> None:
    """Print a line for each entry."""
    for key, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {number}" for name, number in value.items())
        print(f"{key}: {value}")


def _versions() -> list[tuple[str, str]]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or "unknown"
