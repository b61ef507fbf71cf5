"""What every descriptor has: a name, a summary, and for a component options and a target.

Standard library only, so descriptors cost nothing. A *target* is an import string such as
``"charrnn_lru.cell:LRUCell"`` that is imported when the component is first used, never before.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import PluginError
from charrnn_core.registry.options import (
    NoOptions,
    annotations,
    check_options_type,
    describe_options,
)

PLUGIN_API = 1
"""Raised only when a descriptor or a component contract changes incompatibly."""

_NAME = re.compile(r"[a-z][a-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One thing on offer.

    Arguments:
        name: how users call it: at least two lower-case letters, digits, ``-`` or ``_``.
        summary: one line for listings.
        api: the `PLUGIN_API` the plugin was written for.

    Raises:
        PluginError: a field breaks its contract.
    """

    kind: ClassVar[str]
    """What users call a thing of this kind, such as ``"cell"``."""

    hook: ClassVar[str]
    """The hook that yields it, such as ``"charrnn_cells"``."""

    name: str
    summary: str = ""
    api: int = PLUGIN_API

    def __post_init__(self) -> None:
        self.check_name(self.name)
        if self.api > PLUGIN_API:
            raise PluginError(
                f"{self.kind} {self.name!r} needs plugin API {self.api}; this charrnn has "
                f"{PLUGIN_API}: upgrade charrnn"
            )

    @classmethod
    def check_name(cls, name: str) -> None:
        """Raise `PluginError` unless a plugin of this kind can be called so."""
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"{name!r} cannot name a {cls.kind}; expected at least two lower-case "
                "letters, digits, '-' or '_'"
            )

    @classmethod
    def plural(cls) -> str:
        """Return what many of this kind are called, such as ``"cells"``."""
        return cls.hook.removeprefix("charrnn_")

    def describe(self) -> dict[str, Any]:
        """Return what ``charrnn plugins show`` says of it, as plain data."""
        return {"api": self.api, "summary": self.summary}


@dataclass(frozen=True, kw_only=True)
class Component(Plugin):
    """A part of a run, made by what its target names.

    Arguments:
        name: how users call it: at least two lower-case letters, digits, ``-`` or ``_``.
        target: ``"package.module:attribute"``, imported on first use, or the object itself.
        summary: one line for listings.
        options: a frozen keyword-only dataclass of options declared with `opt`.
        argument: the option that the text after the colon of a spec fills; None takes none.
        api: the `PLUGIN_API` the plugin was written for.
        state_version: for cells: raise it when saved parameters change shape or meaning.

    Raises:
        PluginError: a field breaks its contract.
    """

    target: str | Callable[..., Any]
    options: type = NoOptions
    argument: str | None = None
    state_version: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options_type(self.options)
        if self.argument is not None and self.argument not in annotations(self.options):
            raise PluginError(
                f"{self.kind} {self.name!r}: argument {self.argument!r} is not one of its options: "
                f"{', '.join(annotations(self.options)) or 'it has none'}"
            )

    def describe(self) -> dict[str, Any]:
        """Return what ``charrnn plugins show`` says of it, as plain data."""
        target = self.target if isinstance(self.target, str) else repr(self.target)
        spec = self.name if self.argument is None else f"{self.name}:{self.argument.upper()}"
        return {
            "api": self.api,
            "state_version": self.state_version,
            "summary": self.summary,
            "spec": spec,
            "target": target,
            "options": describe_options(self.options),
        }

    def load(self) -> Callable[..., Any]:
        """Import the target.

        Raises:
            PluginError: the import string is malformed, or importing it fails.
        """
        return self.imported("target", self.target)

    def imported(self, what: str, target: str | Callable[..., Any]) -> Callable[..., Any]:
        """Import what a field names, the target or another; `what` is the field's name.

        Raises:
            PluginError: the import string is malformed, or importing it fails.
        """
        if callable(target):
            return target
        module, colon, attribute = target.partition(":")
        if not colon:
            raise PluginError(
                f"{self.kind} {self.name!r}: {what} {target!r} is not 'package.module:attribute'"
            )
        try:
            with kept_clean():
                found: Any = importlib.import_module(module)
                for part in attribute.split("."):
                    found = getattr(found, part)
        except (
            Exception,
            SystemExit,
        ) as error:  # the plugin's fault, whatever it is
            raise PluginError(
                f"{self.kind} {self.name!r} cannot be imported from {target!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return found
