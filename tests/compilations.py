"""Counting what JAX compiles, or loads from its cache."""

import contextlib
from collections.abc import Iterator

import jax

_PROGRAM = "/jax/core/compile/backend_compile_duration"
_compiled: list[str] = []


def _take(event: str, seconds: float, **about: object) -> None:
    if event == _PROGRAM:
        _compiled.append(str(about.get("fun_name")))


jax.monitoring.register_event_duration_secs_listener(_take)


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """Collect the names of the programs that are compiled meanwhile, by any thread."""
    before, found = len(_compiled), []
    yield found
    found += _compiled[before:]
