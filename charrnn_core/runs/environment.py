"""The versions that results depend on, down to the last bit."""

import functools
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version

import jax


@functools.cache
def environment() -> dict[str, str]:
    """Return the versions that results depend on, down to the last bit."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "optax": version("optax"),
        "flax": version("flax"),
        "platform": platform.platform(),
        "backend": jax.default_backend(),
    }


def note_environment(then: Mapping[str, str], note: Callable[[str], None]) -> None:
    """Note every version that differs from the one the checkpoint was made with."""
    for name, now in environment().items():
        if then.get(name) != now:
            note(
                f"note: {name} was {then.get(name)} and is now {now}; results may differ from "
                "those of an uninterrupted run in the last bits"
            )
