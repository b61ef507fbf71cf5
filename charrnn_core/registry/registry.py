"""The registry: finds plugins through entry points and turns names into components.

A plugin that breaks on import is recorded and stops only what needs it. Two providers of one name
are an error only when that name is used.
"""

import copy
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from charrnn_core.blame import Call
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import (
    AmbiguousNameError,
    OptionError,
    PluginError,
    StorageError,
    UnknownNameError,
)
from charrnn_core.registry.entrypoints import PLUGINS, installed
from charrnn_core.registry.offers import offers_of
from charrnn_core.registry.options import option_values, read_options
from charrnn_core.registry.plugin import Plugin
from charrnn_core.registry.provider import (
    Fault,
    Import,
    Provider,
    canonical,
    how_to_get,
    timed_import,
    whose,
)
from charrnn_core.registry.single_file import load_local_file, local_files, version_of
from charrnn_core.registry.spec import Ref

_CELL_MUST = "its target is called with the options as keywords and must return a cell"
_DEEPEST = 8
_MOST_NESTED = 256

Offered = TypeVar("Offered", bound=Plugin)


class Registry:
    """The plugins there are.

    >>> registry = Registry.installed()
    >>> registry.find("cell", "elman").distribution
    'charrnn'
    >>> registry.resolve("cell", Ref.parse("elman:8")).options["features"]
    8
    """

    def __init__(self, strict: bool = False) -> None:
        self.providers: list[Provider] = []
        self.faults: list[Fault] = []
        self.imports: dict[tuple[str, str], Import] = {}
        self._modules: dict[tuple[str, str], Any] = {}
        self._preferred: dict[tuple[str, str], str] = {}
        self._strict = strict

    @classmethod
    def installed(cls, environ: Mapping[str, str] = os.environ) -> "Registry":
        """Every plugin installed beside this interpreter.

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
                registry.add(entry.load, entry.name, entry.distribution, entry.version)
        for path in local_files(environ):
            registry.add_file(path)
        return registry

    def add_file(self, path: Path) -> None:
        """Take in a plugin that is one file; record it as a fault if it breaks or offers nothing.

        It is called by its file's name, and the file's digest is its version.
        """
        try:
            version = version_of(path)
        except (OSError, StorageError):  # importing it says what is wrong
            version = "missing"
        self.add(lambda: load_local_file(path), path.stem, path.name, version, path)

    def add(
        self,
        load: Callable[[], Any],
        entry_point: str,
        distribution: str = "this program",
        version: str = "unknown",
        file: Path | None = None,
    ) -> None:
        """Take in what the module that `load()` returns offers; record as faults what breaks."""
        plugins: list[Plugin] = []
        errors: list[BaseException] = []
        try:
            with kept_clean():
                module, self.imports[distribution, entry_point] = timed_import(load)
                self._modules.setdefault((distribution, entry_point), module)
                plugins, errors = offers_of(module)
        except (Exception, SystemExit) as error:  # containing whatever a plugin raises is the job
            errors.append(error)
        for plugin in plugins:
            if other := self._offered(distribution, plugin):
                errors.append(
                    PluginError(
                        f"the {plugin.kind} {plugin.name!r} is what the entry point "
                        f"{other.entry_point!r} of the same distribution offers already"
                    )
                )
            else:
                made = Provider(plugin, distribution, version, entry_point, file)
                self.providers.append(made)
        if errors and self._strict:
            raise errors[0]
        for error in errors:
            reason = f"{type(error).__name__}: {error}"
            self.faults.append(Fault(distribution, version, entry_point, reason))

    def _offered(self, distribution: str, plugin: Plugin) -> Provider | None:
        """Who in a distribution offers a component of this kind and name."""
        for provider in self.providers:
            other = provider.plugin
            if (other.kind, other.name) == (plugin.kind, plugin.name) and _same(
                provider.distribution, distribution
            ):
                return provider
        return None

    def module(self, provider: Provider) -> str | None:
        """The name of the module that an entry point named; None if it was given as an object."""
        module = self._modules.get((provider.distribution, provider.entry_point))
        return getattr(module, "__name__", None)

    def names(self, kind: str) -> list[str]:
        """The names on offer, sorted."""
        return sorted({p.plugin.name for p in self.providers if p.plugin.kind == kind})

    def offered(self, descriptor: type[Offered]) -> list[Offered]:
        """Return the descriptors of a class, in the order of their plugins.

        >>> from charrnn_core import RecipePlugin
        >>> Registry.installed().offered(RecipePlugin)[0].name
        'default'
        """
        return [p.plugin for p in self.providers if isinstance(p.plugin, descriptor)]

    def preferring(self, records: Iterable[Mapping[str, Any]]) -> "Registry":
        """The same plugins; where several offer a name, the one a record remembers is meant."""
        other = copy.copy(self)
        other._preferred = {(r["kind"], r["name"]): r["distribution"] for r in records}
        return other

    def find(self, kind: str, use: str) -> Provider:
        """The provider of ``NAME`` or ``DIST/NAME``.

        Raises:
            UnknownNameError: nobody offers the name.
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
                notes = ["no plugin is installed at all: run 'pip install .' in the checkout"]
            else:
                faults = self.faults_of(distribution) if distribution else self.faults
                notes = [str(fault) for fault in faults]
            raise UnknownNameError(kind, use, self.names(kind), notes)
        return (preferred or offers)[0]

    def resolve(
        self, kind: str, ref: Ref, depth: int = 0, counter: Iterator[int] | None = None
    ) -> Ref:
        """The same component with every option filled in, nested components too.

        Arguments:
            depth, counter: how deep inside another component this one is, and how many came before.

        Raises:
            UnknownNameError, AmbiguousNameError, OptionError: the spec does not fit the plugin.
        """
        if depth > _DEEPEST:
            raise OptionError(f"{kind} {ref.use!r} is nested more than {_DEEPEST} deep")
        counter = counter or itertools.count(1)
        if next(counter) > _MOST_NESTED:
            raise OptionError(f"a component holds more than {_MOST_NESTED} others; use fewer")
        plugin = self.find(kind, ref.use).component
        values = dict(ref.options)
        argument = ref.argument
        if kind != "source" and argument is not None:
            if plugin.argument is None:
                raise OptionError(f"{kind} {ref.use!r} takes no argument; got {argument!r}")
            if plugin.argument in values:
                raise OptionError(
                    f"{kind} {ref.use!r}: {plugin.argument} is given twice, as {argument!r} after "
                    f"the colon and as the option {values[plugin.argument]!r}; give it once"
                )
            values[plugin.argument] = argument
            argument = None
        options = option_values(read_options(plugin.options, values, f"{kind} {ref.use!r}"))

        def resolve_nested(inner: Ref) -> Ref:
            return self.resolve("cell", inner, depth + 1, counter)

        return Ref(ref.use, argument, {k: _map_refs(resolve_nested, v) for k, v in options.items()})

    def options(self, kind: str, ref: Ref) -> Any:
        """The options object of a component."""
        resolved = self.resolve(kind, ref)
        plugin = self.find(kind, ref.use).component
        return read_options(plugin.options, resolved.options, f"{kind} {ref.use!r}")

    def load(self, kind: str, ref: Ref) -> Callable[..., Any]:
        """Import a component's target.

        Raises:
            PluginError: importing it fails; the message names the distribution.
        """
        provider = self.find(kind, ref.use)
        try:
            return provider.component.load()
        except PluginError as error:
            who = whose(provider.distribution, provider.version)
            raise PluginError(f"{error}; it comes from {who}") from error

    def build_cell(self, ref: Ref, finish: Callable[[Any], Any]) -> Any:
        """Make a cell; `finish` adapts what a target returns, for the cells inside it as well."""
        options = option_values(self.options("cell", ref))

        def build_nested(inner: Ref) -> Any:
            return self.build_cell(inner, finish)

        target = self.load("cell", ref)
        arguments = {name: _map_refs(build_nested, value) for name, value in options.items()}
        try:
            call = Call(f"cell {ref.use!r}", target, _CELL_MUST, let=(ValueError,))
            with kept_clean(), call:
                return finish(target(**arguments))
        except ValueError as error:
            raise OptionError(f"cell {ref.use!r}: {error}") from error

    def files(self, records: Iterable[Mapping[str, Any]]) -> list[Path]:
        """The single files among the plugins that records remember."""
        providers = [self.find(r["kind"], f"{r['distribution']}/{r['name']}") for r in records]
        return list(dict.fromkeys(p.file for p in providers if p.file))

    def records(self, kind: str, ref: Ref) -> list[dict[str, Any]]:
        """What to remember of the plugins a component needs, itself first."""
        found = [self.find(kind, ref.use).record()]

        def visit(inner: Ref) -> Ref:
            found.extend(record for record in self.records("cell", inner) if record not in found)
            return inner

        for value in ref.options.values():
            _map_refs(visit, value)
        return found

    def require(self, record: Mapping[str, Any]) -> None:
        """Check that a remembered plugin is here and reads what it wrote.

        Raises:
            PluginError: it is missing, broken, from elsewhere, or of another state version.
        """
        kind, name, distribution = record["kind"], record["name"], record["distribution"]
        came = f"{kind} {name!r} comes from {whose(distribution, record['version'])}"
        try:
            provider = self.find(kind, f"{distribution}/{name}")
        except UnknownNameError as error:
            if reasons := [str(fault) for fault in self.faults_of(distribution)]:
                raise PluginError(f"{came}, but {'; '.join(reasons)}") from error
            gone = "a file that was not named" if record.get("file") else "which is not installed"
            raise PluginError(f"{came}, {gone}; {how_to_get(record)}") from error
        if provider.component.state_version != record["state_version"]:
            raise PluginError(
                f"{came} with state version {record['state_version']}; installed is "
                f"{provider.version} with state version {provider.component.state_version}, which "
                f"cannot read it; {how_to_get(record)}"
            )

    def faults_of(self, distribution: str) -> list[Fault]:
        """What of a distribution could not be loaded."""
        return [fault for fault in self.faults if _same(fault.distribution, distribution)]


def _map_refs(function: Callable[[Ref], Any], value: Any) -> Any:
    """Apply `function` to a `Ref`, or to each in a tuple; leave any other value as it is."""
    if isinstance(value, Ref):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_map_refs(function, item) for item in value)
    return value


def _same(one: str, other: str) -> bool:
    return canonical(one) == canonical(other)


def _names(fault: Fault) -> set[str]:
    """What a fault can be called to be left out."""
    return {canonical(fault.distribution), canonical(fault.entry_point)}
