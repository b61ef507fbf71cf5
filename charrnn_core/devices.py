"""This machine's cores and memory. Imports no jax, because it has to run before jax does."""

import os
from collections.abc import MutableMapping

_MOST = 8


def use_every_core(environ: MutableMapping[str, str] = os.environ, *, least: int = 1) -> None:
    """Make every core a jax device, so that each processes its share of the streams.

    XLA does not spread the small products of a recurrent network over cores. Call this before jax
    is imported; a ``JAX_NUM_CPU_DEVICES`` that is already set is kept.

    Arguments:
        environ: the environment to change.
        least: the smallest number of devices, even with fewer cores.

    >>> environ = {"JAX_NUM_CPU_DEVICES": "3"}
    >>> use_every_core(environ)
    >>> environ["JAX_NUM_CPU_DEVICES"]
    '3'
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    environ.setdefault("JAX_NUM_CPU_DEVICES", str(max(least, min(cores or 1, _MOST))))


def memory_bytes() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
