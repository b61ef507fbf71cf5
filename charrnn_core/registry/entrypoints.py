"""Entry points of installed distributions, read from their metadata; no plugin is imported.

What one distribution left behind or wrote wrong is a fault of that distribution, by its directory,
and hides no other.
"""

import ast
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from charrnn_core.errors import PluginError
from charrnn_core.registry.distribution import Fault, canonical

PLUGINS = "charrnn"
"""The group of entry points that name modules with hooks."""

COMMANDS = "charrnn.commands"
"""The group of entry points that add commands; one in a section has the section behind a dot."""

GROUPS = (PLUGINS, COMMANDS)
"""The groups of entry points that make a distribution a plugin."""

_FILE = "entry_points.txt"
_LEFT_OVER = "~"
"""How the name of what pip was about to remove begins; it takes no such directory for installed."""


@dataclass(frozen=True)
class Entry:
    """An entry point, and whose it is.

    Arguments:
        group, name: one of `GROUPS`, and its name there.
        value: ``"package.module"`` or ``"package.module:attribute"``.
        distribution, version: the distribution's.
        section: ``"judge"`` for a command in the group ``charrnn.commands.judge``.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    section: str = ""

    @classmethod
    def of(cls, point: importlib.metadata.EntryPoint, distribution: str, version: str) -> "Entry":
        """Return an entry point of a distribution."""
        group, section = _split(point.group)
        return cls(group, point.name, point.value, distribution, version, section)

    @property
    def module(self) -> str:
        """The module that it names."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def attribute(self) -> str:
        """What in the module it names; empty for the module itself."""
        return self.value.partition("[")[0].partition(":")[2].strip()

    def load(self) -> Any:
        """Import what it names.

        Raises:
            Exception: whatever importing it raises, or that it names nothing.
        """
        return importlib.metadata.EntryPoint(self.name, self.value, self.group).load()


class Installed(NamedTuple):
    """What is installed.

    Arguments:
        entries: by group, distribution and name.
        faults: the distributions that cannot be used as they are.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]

    def group(self, name: str) -> list[Entry]:
        """Return the entry points of a group."""
        return [entry for entry in self.entries if entry.group == name]


def installed() -> Installed:
    """Return the entry points in `GROUPS` of all distributions on the path.

    Of several distributions of one name the first on the path counts, as it does for ``import``;
    where they lie in one directory, what is not used is a fault.

    >>> "charrnn" in {entry.distribution for entry in installed().group(COMMANDS)}
    True
    """
    entries: list[Entry] = []
    faults: list[Fault] = []
    taken: dict[str, list[_Metadata]] = {}
    for metadata in _on_the_path():
        points: list[importlib.metadata.EntryPoint] = []
        name = metadata.name_of_directory
        try:
            points = metadata.points()
            if points:
                name, version = metadata.name_and_version()
                if metadata.stands_behind(taken.get(canonical(name), ())):
                    continue
                entries += [Entry.of(point, name, version) for point in points]
        except PluginError as error:
            what = ", ".join(point.name for point in points) or _FILE
            faults.append(Fault(name, "unknown", what, str(error)))
            continue
        taken.setdefault(canonical(name), []).append(metadata)
    entries.sort(key=lambda entry: (entry.group, entry.distribution, entry.name, entry.section))
    return Installed(tuple(entries), tuple(faults))


def _split(group: str) -> tuple[str, str]:
    """Split the name of a group of commands into `COMMANDS` and the section."""
    section = group.removeprefix(f"{COMMANDS}.")
    return (group, "") if section == group else (COMMANDS, section)


class _Metadata(NamedTuple):
    """A directory with the metadata of a distribution, which anybody may have left there."""

    directory: str
    name: str
    distribution: importlib.metadata.Distribution

    @property
    def path(self) -> Path:
        """The directory itself."""
        return Path(self.directory, self.name)

    @property
    def name_of_directory(self) -> str:
        """The distribution's name, as far as can be told without reading anything."""
        return os.path.splitext(self.name)[0].partition("-")[0] or self.name

    def points(self) -> list[importlib.metadata.EntryPoint]:
        """Return the entry points in `GROUPS`.

        Raises:
            PluginError: they cannot be read, although they seem to be ours.
        """
        try:
            # Most distributions are not about charrnn, and are not parsed.
            if PLUGINS not in (self.distribution.read_text(_FILE) or ""):
                return []
            points = self.distribution.entry_points
            return [point for point in points if _split(point.group)[0] in GROUPS]
        except Exception as error:  # the reader trusts what it reads to be well-formed
            if not self._speaks_of_us():
                return []
            raise PluginError(
                f"{self.path / _FILE} cannot be read: {type(error).__name__}: {error}; expected "
                "lines such as 'mycell = charrnn_mycell' below '[charrnn]'; install it again"
            ) from error

    def _speaks_of_us(self) -> bool:
        try:
            return PLUGINS.encode() in (self.path / _FILE).read_bytes()
        except OSError:
            return False

    def name_and_version(self) -> tuple[str, str]:
        """Return the name and version that the distribution gives itself.

        Raises:
            PluginError: its metadata does not say.
        """
        try:
            table = self.distribution.metadata
            name = table["Name"] if "Name" in table else ""
            version = table["Version"] if "Version" in table else ""
        except Exception as error:  # as above
            raise self._useless(f"{type(error).__name__}: {error}") from error
        if not name or not version:
            raise self._useless(f"METADATA is missing, or has no {'version' if name else 'name'}")
        if self.path.name.startswith(_LEFT_OVER):
            raise self._useless(f"pip was about to remove this {name} {version}")
        return name, version

    def _useless(self, why: str) -> PluginError:
        return PluginError(
            f"{self.path} is not the metadata of an installed distribution: {why}; remove that "
            "directory, and install again what it belongs to if you still want it"
        )

    def stands_behind(self, others: Iterable["_Metadata"]) -> bool:
        """Return whether another distribution of this name comes first.

        Raises:
            PluginError: it lies in the same directory, where there can be but one.
        """
        for other in others:
            if other.path.parent == self.path.parent:
                raise self._useless(f"{other.path.name} is beside it")
            if other.is_sound():
                return True
        return False

    def is_sound(self) -> bool:
        """Return whether its metadata has a name and a version."""
        try:
            return bool(self.name_and_version())
        except PluginError:
            return False


def _on_the_path() -> Iterator[_Metadata]:
    """Yield all distributions, each once, in path order; the newest of a directory first."""
    found: dict[str, dict[str, importlib.metadata.Distribution]] = {}
    real = functools.cache(os.path.realpath)
    for distribution in importlib.metadata.distributions():
        path = str(getattr(distribution, "_path", None) or distribution.locate_file("unknown"))
        directory, name = os.path.split(path)
        found.setdefault(real(directory), {}).setdefault(name, distribution)
    for directory, inside in found.items():
        for name in sorted(inside, reverse=True):
            yield _Metadata(directory, name, inside[name])


def first_line(module: str, name: str) -> str:
    """Return the first line of the docstring of a module's function, reading its source alone.

    Neither the module nor a package around it is imported. Empty if there is no such docstring, or
    the module cannot be found.

    >>> first_line("charrnn_core.registry.entrypoints", "first_line")
    "Return the first line of the docstring of a module's function, reading its source alone."
    """
    try:
        loader: Any = _find(module).loader
        source = loader.get_source(module)
        docstring = ast.get_docstring(_function(source, name))
    except Exception:  # whatever a distribution has installed must not spoil the help of others
        return ""
    return (docstring or "").partition("\n")[0]


def _function(source: str, name: str) -> ast.FunctionDef:
    """Parse a function at the top of a module, if possible no further than its docstring.

    Raises:
        StopIteration: there is no such function.
        SyntaxError: the module is not Python.
    """
    start = f"\n{source}".find(f"\ndef {name}(")
    signature, quotes, rest = source[start:].partition('"""')
    try:  # help is to be quick, and a body may be long
        tree = ast.parse(f"{signature}{quotes}{rest.partition(quotes)[0]}{quotes}")
    except (SyntaxError, ValueError):  # its docstring, if it has one, is in other quotes
        tree = ast.parse(source)
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return next(function for function in functions if function.name == name)


def _find(module: str) -> importlib.machinery.ModuleSpec:
    """Find a module without importing the packages around it, as ``importlib.util`` would."""
    package, *inside = module.split(".")
    name, spec = package, importlib.util.find_spec(package)
    for part in inside:
        if spec is None:
            break
        name = f"{name}.{part}"
        places = spec.submodule_search_locations
        spec = importlib.machinery.PathFinder.find_spec(name, places)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {module}")
    return spec
