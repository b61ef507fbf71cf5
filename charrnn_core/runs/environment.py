"""The versions that decide results to the last bit."""

import functools
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version

import jax


@functools.cache
def environment() -> dict[str, str]:
    """The versions that decide results to the last bit."""
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
    """Say which versions are not those the checkpoint was made with."""
    for name, now in environment().items():
        if then.get(name) != now:
            note(
                f"note: {name} was {then.get(name)} and is {now} now; the last bits of results may "
                "differ from an uninterrupted run's"
            )
