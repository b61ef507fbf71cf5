"""The conditions of a measurement: the machine, the versions, the command, the load."""

import os
import platform
import shlex
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
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
    """Return the processor's name with what its kind is told by: family, AVX-512, cache sizes.

    Clouds give unlike processors the same name.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = [line.partition(":") for line in file.read().partition("\n\n")[0].splitlines()]
        about = {key.strip(): value.strip() for key, _, value in fields}
        wide = "with" if "avx512f" in about["flags"].split() else "without"
        kind = f"family {about['cpu family']}, model {about['model']}, {wide} AVX-512"
        return ", ".join([f"{about['model name']} ({kind})", *_caches()])
    except (OSError, KeyError):
        return platform.processor() or "unknown"


def _caches() -> list[str]:
    """Return the size of every cache of data that the first core reaches."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (folder / name).read_text(encoding="utf-8").strip()
            for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found
