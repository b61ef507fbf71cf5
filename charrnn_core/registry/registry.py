"""The registry: turns names into components."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.blame import Call
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import (
    OptionError,
    PluginError,
    UnknownNameError,
)
from charrnn_core.registry.catalogue import Catalogue
from charrnn_core.registry.distribution import OF_A_PROGRAM, how_to_get, whose
from charrnn_core.registry.options import option_values, read_options
from charrnn_core.registry.provider import Provider
from charrnn_core.registry.spec import Ref

_CELL_MUST = "its target is called with the options as keywords and must return a cell"
_DEEPEST = 8
_MOST_NESTED = 256


class Registry(Catalogue):
    """The available plugins, and the components that they make.

    >>> registry = Registry.installed()
    >>> registry.resolve("cell", Ref.parse("elman:8")).options["features"]
    8
    """

    def resolve(
        self, kind: str, ref: Ref, depth: int = 0, counter: Iterator[int] | None = None
    ) -> Ref:
        """Return the component with every option filled in, nested components too.

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

        options = {key: _map_refs(resolve_nested, value) for key, value in options.items()}
        return Ref(ref.use, argument, options, ref.given)

    def options(self, kind: str, ref: Ref) -> Any:
        """Return the options object of a component."""
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
        """Return the single files among the recorded plugins."""
        providers = [self.find(r["kind"], f"{r['distribution']}/{r['name']}") for r in records]
        return list(dict.fromkeys(p.file for p in providers if p.file))

    def records(self, kind: str, ref: Ref) -> list[dict[str, Any]]:
        """Return the records of the plugins a component needs, its own first."""
        found = [self.find(kind, ref.use).record()]

        def visit(inner: Ref) -> Ref:
            found.extend(record for record in self.records("cell", inner) if record not in found)
            return inner

        for value in ref.options.values():
            _map_refs(visit, value)
        return found

    def _in_a_file(self, kind: str, name: str) -> Provider | None:
        """Return what offers in a single file what a program gave, and may give again."""
        for provider in self.providers:
            if provider.file and (provider.plugin.kind, provider.plugin.name) == (kind, name):
                return provider
        return None

    def require(self, record: Mapping[str, Any]) -> None:
        """Check that a remembered plugin is here and reads what it wrote.

        Raises:
            PluginError: it is missing, broken, from elsewhere, or of another state version.
        """
        kind, name, distribution = record["kind"], record["name"], record["distribution"]
        came = f"{kind} {name!r} comes from {whose(distribution, record['version'])}"
        of_a_program = distribution == OF_A_PROGRAM
        try:
            provider = (of_a_program and self._in_a_file(kind, name)) or self.find(
                kind, f"{distribution}/{name}"
            )
        except UnknownNameError as error:
            if reasons := [str(fault) for fault in self.faults_of(distribution)]:
                raise PluginError(f"{came}, but {'; '.join(reasons)}") from error
            gone = "a file that was not named" if record.get("file") else "which is not installed"
            if of_a_program:
                came = f"{kind} {name!r} is an object of the Python program that trained the run"
                gone = "which was not given"
            raise PluginError(f"{came}, {gone}; {how_to_get(record)}") from error
        if provider.component.state_version != record["state_version"]:
            raise PluginError(
                f"{came} with state version {record['state_version']}; installed is "
                f"{provider.version} with state version {provider.component.state_version}, which "
                f"cannot read it; {how_to_get(record)}"
            )


def _map_refs(function: Callable[[Ref], Any], value: Any) -> Any:
    """Apply `function` to a `Ref`, or to each in a tuple; leave any other value as it is."""
    if isinstance(value, Ref):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_map_refs(function, item) for item in value)
    return value
