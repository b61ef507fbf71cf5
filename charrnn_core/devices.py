"""This machine's cores, speed and memory. Imports no jax: some of it has to run before jax does."""

import os
import platform
from collections.abc import MutableMapping
from pathlib import Path

_MOST = 8

_WIDE, _NARROW, _ACCELERATOR = 7.5e10, 2.75e10, 1e12
"""Operations a second of a core with AVX-512, of another core, and of an accelerator."""


def use_every_core(environ: MutableMapping[str, str] = os.environ, *, least: int = 1) -> None:
    """Make every core a jax device, so that each processes its share of the streams.

    XLA does not spread the small products of a recurrent network over cores. Call this before jax
    is imported; a ``JAX_NUM_CPU_DEVICES`` that is already set is kept. A single core computes the
    same bits as several.

    Arguments:
        environ: the environment to change.
        least: the smallest number of devices, even with fewer cores.

    >>> environ = {"JAX_NUM_CPU_DEVICES": "3"}
    >>> use_every_core(environ)
    >>> environ["JAX_NUM_CPU_DEVICES"]
    '3'
    """
    environ.setdefault("JAX_NUM_CPU_DEVICES", str(max(least, cores_to_use())))
    if cores() == 1:
        environ.setdefault("PJRT_NPROC", str(threads(1)))


def threads(jobs: int) -> int:
    """Return how many threads XLA should have where so many trainings share this machine's cores.

    There are never fewer than two: with one thread for one device XLA adds numbers up in another
    order than with two, which compute the same bits as any larger number.
    """
    return max(2, cores() // jobs)


def cores_to_use() -> int:
    """Return how many cores of this machine a training is spread over."""
    return min(cores(), _MOST)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processor_lines(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Return what Linux says of every core, in lines; nothing on another system."""
    try:
        return cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return []


def processor() -> str:
    """Return the name of this machine's processor.

    >>> processor() != ""
    True
    """
    for line in processor_lines():
        if "model name" in line:
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def operations_per_second(backend: str, lines: list[str] | None = None) -> float:
    """Return about how many floating-point operations a device makes in a second of training.

    It follows from the kind of the device, not from a clock, which would make every run another. On
    the four kinds of processors that were looked at (EPYC of the families 23, 25 and 25 with
    AVX-512, Xeon with AMX, two cores each) it is right within a third; for an accelerator it is a
    guess.

    Arguments:
        backend: what jax calls the device, such as ``cpu``.
        lines: from `processor_lines`, of this machine if None.

    >>> operations_per_second("cpu", ["flags : avx2 avx512f"]) > operations_per_second("cpu", [])
    True
    """
    if backend != "cpu":
        return _ACCELERATOR
    lines = processor_lines() if lines is None else lines
    return _WIDE if any("avx512f" in line.split() for line in lines) else _NARROW
