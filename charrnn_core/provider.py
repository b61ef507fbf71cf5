"""Who offers a component, or failed to."""

import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core.plugin import Plugin

HEAVY = ("jax", "flax", "optax", "numpy")
"""What a plugin's registration must not import, so that every command starts at once."""


@dataclass(frozen=True)
class Provider:
    """A component on offer and the distribution that offers it, or the single file."""

    plugin: Plugin
    distribution: str
    version: str
    entry_point: str
    file: Path | None = None

    def record(self) -> dict[str, Any]:
        """What a checkpoint remembers of the plugin."""
        return {
            "kind": self.plugin.kind,
            "name": self.plugin.name,
            "distribution": self.distribution,
            "version": self.version,
            "entry_point": self.entry_point,
            "api": self.plugin.api,
            "state_version": self.plugin.state_version,
            **({"file": True} if self.file else {}),
        }


@dataclass(frozen=True)
class Fault:
    """A plugin that could not be loaded, or is not as it should be."""

    distribution: str
    version: str
    entry_point: str
    error: str

    def __str__(self) -> str:
        who = f"{self.distribution} {self.version}"
        return f"plugin {self.entry_point!r} of {who} failed to load: {self.error}"


@dataclass(frozen=True)
class Import:
    """What importing a plugin's module cost.

    Arguments:
        seconds: how long it took.
        heavy: which of `HEAVY` it imported that nobody had before.
    """

    seconds: float
    heavy: tuple[str, ...]


def timed_import(load: Callable[[], Any]) -> tuple[Any, Import]:
    """The module that `load()` returns, and what that cost.

    >>> timed_import(lambda: "a module")[1].heavy
    ()
    """
    before, began = set(sys.modules), time.perf_counter()
    module = load()
    heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
    return module, Import(time.perf_counter() - began, heavy)


def how_to_get(record: Mapping[str, Any]) -> str:
    """What a user without a remembered plugin can do, after a name and a comma.

    >>> how_to_get({"distribution": "charrnn-irnn", "version": "0.1.0"})
    "which is not installed; install it with: pip install 'charrnn-irnn==0.1.0'"
    """
    distribution, version = record["distribution"], record["version"]
    if record.get("file"):
        return (
            "a single file that was not named; name it, or the copy that lies in the run's "
            f"directory if you trust that: --plugin RUN/plugins/{distribution}"
        )
    return f"which is not installed; install it with: pip install '{distribution}=={version}'"


def canonical(name: str) -> str:
    """A distribution's name as installers compare it (PEP 503).

    >>> canonical("Charrnn_My.Cell")
    'charrnn-my-cell'
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
