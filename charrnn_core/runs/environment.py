"""The versions and the machine that results depend on, down to the last bit."""

import functools
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version

import jax

from charrnn_core.devices import processor


@functools.cache
def environment() -> dict[str, str]:
    """Return the versions and the machine that results depend on, down to the last bit."""
    backend = jax.default_backend()
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "optax": version("optax"),
        "flax": version("flax"),
        "platform": platform.platform(),
        "backend": backend,
        "processor": processor() if backend == "cpu" else jax.devices()[0].device_kind,
    }


def note_environment(then: Mapping[str, str], note: Callable[[str], None]) -> None:
    """Note whatever differs from what the checkpoint was made with, as far as that says."""
    for name, now in environment().items():
        if then.get(name, now) != now:
            note(
                f"note: {name} was {then.get(name)} and is now {now}; results may differ from "
                "those of an uninterrupted run in the last bits"
            )
