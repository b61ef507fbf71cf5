"""This machine: its processors as jax sees them, its memory. No jax: it has to run before."""

import os
from collections.abc import MutableMapping

_MOST = 8


def use_every_core(environ: MutableMapping[str, str] = os.environ, *, least: int = 1) -> None:
    """Let jax see every core as a device, so that each reads its share of the streams.

    The small products of a recurrent network do not spread over cores by themselves. Call it before
    jax is imported; a ``JAX_NUM_CPU_DEVICES`` that is set already stays.

    Arguments:
        least: how many devices there have to be, however few the cores.

    >>> environ = {"JAX_NUM_CPU_DEVICES": "3"}
    >>> use_every_core(environ)
    >>> environ["JAX_NUM_CPU_DEVICES"]
    '3'
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    environ.setdefault("JAX_NUM_CPU_DEVICES", str(max(least, min(cores or 1, _MOST))))


def memory_bytes() -> int:
    """How much memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
