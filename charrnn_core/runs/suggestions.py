"""What a shell can complete: names of plugins and of kinds of plugin, and runs. Imports no jax."""

import shlex
from pathlib import Path
from typing import NamedTuple

from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.directory import FOLDER, RunDirectory

_KIND_OF = {name: kind for kind in KINDS for name in (kind, KINDS[kind].plural())}


class Suggestion(NamedTuple):
    """What can stand on the command line, and what it is."""

    value: str
    summary: str = ""


def suggestions(parameter: str, begun: str = "", kind: str | None = None) -> list[Suggestion]:
    """Return what can be given to a parameter of a command, by what the parameter is called.

    Arguments:
        parameter: ``run``; a kind of plugin, such as ``cell``, or several, such as ``cells``;
            ``kind`` itself; ``name`` beside ``kind``. Nothing is known of any other.
        begun: the beginning of the value. In a list of plugins, what follows the last comma counts.
        kind: the value of ``kind``.

    >>> [cell.value for cell in suggestions("cells", "elman,mgu")]
    ['elman,mgu']
    >>> suggestions("name", "temp", kind="sampler")[0].value
    'temperature'
    """
    if parameter == "run":
        return [run for run in _runs(FOLDER) if run.value.startswith(begun)]
    if parameter == "kind":
        return [Suggestion(kind) for kind in KINDS if kind.startswith(begun)]
    wanted = kind if parameter == "name" else _KIND_OF.get(parameter)
    before, comma, last = begun.rpartition(",")
    names = {
        provider.plugin.name: provider.plugin.summary
        for provider in Registry.installed().providers
        if provider.plugin.kind == wanted and provider.plugin.name.startswith(last)
    }
    return [Suggestion(f"{before}{comma}{name}", names[name]) for name in sorted(names)]


def _runs(folder: Path) -> list[Suggestion]:
    """Return the runs in a folder, the newest first; none that a shell would need quotes for."""
    paths = folder.iterdir() if folder.is_dir() else ()
    runs = [path for path in paths if RunDirectory(path).is_run()]
    runs.sort(key=lambda path: -path.stat().st_mtime)
    return [Suggestion(str(path)) for path in runs if shlex.quote(str(path)) == str(path)]
