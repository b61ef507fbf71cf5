"""Who offers a component, or failed to."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core.errors import PluginError
from charrnn_core.registry.plugin import Component, Plugin

HEAVY = ("jax", "flax", "optax", "numpy")
"""What a plugin's registration must not import, so that every command starts at once."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin's module comes from: an entry point of a distribution, or a single file."""

    distribution: str
    version: str
    entry_point: str
    file: Path | None = None

    def provider(self, plugin: Plugin) -> "Provider":
        """Return what is on offer with where it comes from."""
        return Provider(plugin, self.distribution, self.version, self.entry_point, self.file)


@dataclass(frozen=True)
class Provider:
    """What is on offer and the distribution that offers it, or the single file."""

    plugin: Plugin
    distribution: str
    version: str
    entry_point: str
    file: Path | None = None

    @property
    def component(self) -> Component:
        """The descriptor, of what is a part of a run.

        Raises:
            PluginError: it is not, such as a recipe.
        """
        if not isinstance(self.plugin, Component):
            raise PluginError(f"{self.plugin.kind} {self.plugin.name!r} is not a part of a run")
        return self.plugin

    def origin(self) -> dict[str, Any]:
        """Return the plugin's kind and name, and where it comes from."""
        return {
            "kind": self.plugin.kind,
            "name": self.plugin.name,
            "distribution": self.distribution,
            "version": self.version,
            "entry_point": self.entry_point,
            **({"file": True} if self.file else {}),
        }

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint remembers of a component."""
        versions = {"api": self.plugin.api, "state_version": self.component.state_version}
        return self.origin() | versions


@dataclass(frozen=True)
class Import:
    """What importing a plugin's module cost.

    Arguments:
        seconds: how long it took.
        heavy: which of `HEAVY` it was the first to import.
    """

    seconds: float
    heavy: tuple[str, ...]


def timed_import(load: Callable[[], Any]) -> tuple[Any, Import]:
    """Return the module that `load()` returns, and what importing it cost.

    >>> timed_import(lambda: "a module")[1].heavy
    ()
    """
    before, began = set(sys.modules), time.perf_counter()
    module = load()
    heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
    return module, Import(time.perf_counter() - began, heavy)
