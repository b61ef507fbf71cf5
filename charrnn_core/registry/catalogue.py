"""The catalogue: every plugin there is, found through entry points, and who offers what.

A plugin that breaks on import is recorded and stops only what needs it. Two providers of one name
are an error only when that name is used.
"""

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import (
    AmbiguousNameError,
    CharRNNError,
    PluginError,
    StorageError,
    UnknownNameError,
    UsageError,
)
from charrnn_core.registry.distribution import Fault, canonical, whose
from charrnn_core.registry.entrypoints import PLUGINS, installed
from charrnn_core.registry.offers import Hooks, Module
from charrnn_core.registry.plugin import Plugin
from charrnn_core.registry.provider import Import, Origin, Provider, timed_import
from charrnn_core.registry.single_file import load_local_file, local_files, version_of

Offered = TypeVar("Offered", bound=Plugin)


class Catalogue:
    """The available plugins.

    Arguments:
        strict: raise what a plugin raises instead of recording it.

    >>> Catalogue.installed().find("cell", "elman").distribution
    'charrnn'
    """

    def __init__(self, strict: bool = False) -> None:
        self.providers: list[Provider] = []
        self.faults: list[Fault] = []
        self.imports: dict[tuple[str, str], Import] = {}
        self._hooks = Hooks()
        self._origins: dict[Module, Origin] = {}
        self._asked: set[Module] = set()
        self._modules: dict[tuple[str, str], Any] = {}
        self._preferred: dict[tuple[str, str], str] = {}
        self._strict = strict

    @classmethod
    def installed(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return every plugin installed for this interpreter.

        `environ` may hold ``CHARRNN_DISABLE_PLUGINS``, a comma-separated list of entry points or
        distributions to leave out, and ``CHARRNN_STRICT_PLUGINS=1``, which raises what a plugin
        raises instead of recording it.
        """
        registry = cls(strict=environ.get("CHARRNN_STRICT_PLUGINS") == "1")
        disabled = {canonical(n) for n in environ.get("CHARRNN_DISABLE_PLUGINS", "").split(",")}
        found = installed()
        registry.faults += [fault for fault in found.faults if not _names(fault) & disabled]
        for entry in found.group(PLUGINS):
            if not {canonical(entry.name), canonical(entry.distribution)} & disabled:
                origin = Origin(entry.distribution, entry.version, entry.name)
                registry._import(entry.load, origin)
        for path in local_files(environ):
            registry._import_file(path)
        registry._ask()  # all of them together, so that their order and wrappers count
        return registry

    def add_file(self, path: Path) -> None:
        """Take in a plugin that is one file; record it as a fault if it breaks or offers nothing.

        It is called by its file's name, and the file's digest is its version.
        """
        self._import_file(path)
        self._ask()

    def add(
        self,
        load: Callable[[], Any],
        entry_point: str,
        distribution: str = "this program",
        version: str = "unknown",
    ) -> None:
        """Take in what the module that `load()` returns offers; record as faults what breaks."""
        self._import(load, Origin(distribution, version, entry_point))
        self._ask()

    def _import_file(self, path: Path) -> None:
        try:
            version = version_of(path)
        except (OSError, StorageError):  # importing it says what is wrong
            version = "missing"
        self._import(lambda: load_local_file(path), Origin(path.name, version, path.stem, path))

    def _import(self, load: Callable[[], Any], origin: Origin) -> None:
        name = origin.distribution, origin.entry_point
        try:
            with kept_clean():
                module, self.imports[name] = timed_import(load)
                self._modules.setdefault(name, module)
                self._origins[Module(module)] = origin
        except (Exception, SystemExit) as error:  # containing whatever a plugin raises is the job
            self._blame(origin, error)

    def _ask(self) -> None:
        """Ask the modules that were imported and not asked yet what they offer."""
        new = [module for module in self._origins if module not in self._asked]
        self._asked.update(new)
        with kept_clean():
            self._hooks.register(new)
            for module, plugin in self._hooks.offers(new):
                made = self._origins[module].provider(plugin)
                if other := self._offered(made.distribution, plugin):
                    module.errors.append(
                        PluginError(
                            f"{plugin.kind} {plugin.name!r} is already offered by the entry point "
                            f"{other.entry_point!r} of the same distribution"
                        )
                    )
                else:
                    self.providers.append(made)
        for module, origin in self._origins.items():  # wrappers of earlier ones may have broken
            while module.errors:
                self._blame(origin, module.errors.pop(0))

    def _blame(self, origin: Origin, error: BaseException) -> None:
        if self._strict:
            raise error
        reason = _reason(error) if origin.file else f"{type(error).__name__}: {error}"
        self.faults.append(Fault(origin.distribution, origin.version, origin.entry_point, reason))

    def _offered(self, distribution: str, plugin: Plugin) -> Provider | None:
        """Return the provider in a distribution that offers this kind and name, if any."""
        for provider in self.providers:
            other = provider.plugin
            if (other.kind, other.name) == (plugin.kind, plugin.name) and _same(
                provider.distribution, distribution
            ):
                return provider
        return None

    def module(self, provider: Provider) -> str | None:
        """Return the name of the module that an entry point named; None for an object."""
        module = self._modules.get((provider.distribution, provider.entry_point))
        return getattr(module, "__name__", None)

    def names(self, kind: str) -> list[str]:
        """Return the available names, sorted."""
        return sorted({p.plugin.name for p in self.providers if p.plugin.kind == kind})

    def offered(self, descriptor: type[Offered]) -> list[Offered]:
        """Return the descriptors of a class, in the order of their plugins.

        >>> from charrnn_core import RecipePlugin
        >>> Catalogue.installed().offered(RecipePlugin)[0].name
        'default'
        """
        return [p.plugin for p in self.providers if isinstance(p.plugin, descriptor)]

    def preferring(self, records: Iterable[Mapping[str, Any]]) -> Self:
        """Return the same plugins, preferring recorded distributions for ambiguous names."""
        other = copy.copy(self)
        other._preferred = {(r["kind"], r["name"]): r["distribution"] for r in records}
        return other

    def offering(self, providers: Iterable[Provider]) -> Self:
        """Return the same plugins and these, which are preferred to others of the same name."""
        other, added = copy.copy(self), list(providers)
        keys = {_key(provider) for provider in added}
        other.providers = [*(p for p in self.providers if _key(p) not in keys), *added]
        own = {(p.plugin.kind, p.plugin.name): p.distribution for p in added}
        other._preferred = {**self._preferred, **own}
        return other

    def find(self, kind: str, use: str) -> Provider:
        """Return the provider of ``NAME`` or ``DIST/NAME``.

        Raises:
            UnknownNameError: no plugin offers the name.
            AmbiguousNameError: several distributions offer it.
        """
        distribution, _, name = use.rpartition("/")
        offers = [
            provider
            for provider in self.providers
            if (provider.plugin.kind, provider.plugin.name) == (kind, name)
            and (not distribution or _same(provider.distribution, distribution))
        ]
        wanted = self._preferred.get((kind, name), "")
        preferred = [provider for provider in offers if _same(provider.distribution, wanted)]
        if len(offers) > 1 and len(preferred) != 1:
            who = " and ".join(whose(p.distribution, p.version) for p in offers)
            choices = ", ".join(f"{p.distribution}/{name}" for p in offers)
            raise AmbiguousNameError(f"{kind} {name!r} is offered by {who}; choose one: {choices}")
        if not offers:
            if not self.providers:
                notes = ["no plugins are installed; run 'pip install .' in the checkout"]
            else:
                faults = self.faults_of(distribution) if distribution else self.faults
                notes = [str(fault) for fault in faults]
            raise UnknownNameError(kind, use, self.names(kind), notes)
        return (preferred or offers)[0]

    def faults_of(self, distribution: str) -> list[Fault]:
        """Return the faults of a distribution."""
        return [fault for fault in self.faults if _same(fault.distribution, distribution)]


def check_files(files: Iterable[Path]) -> None:
    """Refuse single files that a user names and that cannot be used at all.

    Raises:
        UsageError: one of them breaks, or offers nothing; the message says why.
    """
    for path in files:
        alone = Catalogue()
        alone.add_file(path)
        if alone.faults and not alone.providers:
            reasons = "; ".join(fault.error for fault in alone.faults)
            raise UsageError(f"plugin file {str(path)!r} cannot be used: {reasons}")


def _key(provider: Provider) -> tuple[str, str, str]:
    return provider.plugin.kind, provider.plugin.name, canonical(provider.distribution)


def _reason(error: BaseException) -> str:
    """Return what a file raised, after its file and line."""
    from charrnn_core.blame import told_with_place  # here, for it is rarely needed

    return str(error) if isinstance(error, CharRNNError) else told_with_place(error)


def _same(one: str, other: str) -> bool:
    return canonical(one) == canonical(other)


def _names(fault: Fault) -> set[str]:
    """Return the names under which a faulty plugin can be disabled."""
    return {canonical(fault.distribution), canonical(fault.entry_point)}
