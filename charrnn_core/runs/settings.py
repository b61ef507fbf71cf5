"""From what a user typed to the configuration of a run."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.errors import UnknownNameError, UsageError
from charrnn_core.recipes import LIKE
from charrnn_core.registry.spec import Ref, parse_refs, source_ref
from charrnn_core.runs.config import RunConfig, layered, read_toml

COMPONENTS = ("optimizer", "sampler", "loss", "source", "cell")
"""The components that have ``--KIND-opt`` options."""

CHANGES = ("text", "config", "plugins", "alphabet", "shards")
"""What ``resume --allow-change`` takes: things that may have changed since the run started."""


def read_settings(
    file: Path | None,
    values: Mapping[str, Any],
    options: Mapping[str, Iterable[str]],
    *,
    learning_rate: str | None = None,
    quiet: bool = False,
    observers: Iterable[str] = (),
) -> RunConfig:
    """Return the configuration: defaults, overridden by the recipe, the file, the command line.

    With ``init_from`` the network is the one those parameters belong to, unless set otherwise.

    Arguments:
        file: a TOML file.
        values: settings by name; None means not given. ``recipe`` and ``like`` name recipes.
        options: ``KEY=VALUE`` texts by component.
        learning_rate: the optimizer's option of that name.
        quiet: whether to leave out the progress display.
        observers: specs of additional observers.

    Raises:
        StorageError: the file, or the run to start from, cannot be read.
        UsageError: a value is wrong; the subclass and the message say which.

    >>> dict(read_settings(None, {"batch": "8"}, {"cell": ["features=3"]}).cell.options)
    {'features': '3'}
    """
    below = {} if file is None else read_toml(file)
    typed = {name: value for name, value in values.items() if value is not None}
    if (like := typed.pop("like", None)) is not None:
        typed["recipe"] = _recipe_like(like, typed.get("recipe"))
    if _states_a_width(typed.get("cell"), options.get("cell", ())):
        typed.setdefault("parameters", None)  # overrides the one of a recipe or file
    if isinstance(origin := typed.get("init_from", below.get("init_from")), str):
        from charrnn_core.runs.opening import saved_network  # numpy would slow --help down

        # Its width is already known, so a recipe must not resize it.
        below = {"parameters": None, **saved_network(Path(origin)), **below}
    settings = RunConfig.read(layered(below, typed))
    given = {kind: _pairs(kind, options.get(kind, ())) for kind in COMPONENTS}
    if learning_rate is not None:
        given["optimizer"]["learning_rate"] = learning_rate
    pairs, changes = given.pop("sampler"), dict[str, Any]()
    if pairs:
        first, *others = settings.sampler
        changes["sampler"] = (first.with_options(pairs), *others)
    for kind, pairs in given.items():
        changes[kind] = getattr(settings, kind).with_options(pairs)
    return watched(dataclasses.replace(settings, **changes), quiet, observers)


def watched(settings: RunConfig, quiet: bool, observers: Iterable[str] = ()) -> RunConfig:
    """Return the run with more observers, given as specs, and without progress if `quiet`.

    >>> [ref.use for ref in watched(RunConfig(), quiet=True, observers=["diary"]).observers]
    ['jsonl', 'diary']
    """
    kept = [ref for ref in settings.observers if not (quiet and ref.use == "progress")]
    added = [ref for spec in observers for ref in parse_refs(spec)]
    return dataclasses.replace(settings, observers=(*kept, *added))


def source_with(spec: str | None, options: Iterable[str]) -> Ref | None:
    """Return the source given by a spec or path and ``KEY=VALUE`` texts; None without a spec.

    Raises:
        UsageError: options are given without a spec, or are malformed.
        SourceError: the spec looks like a path, but nothing exists there.
    """
    pairs = _pairs("source", options)
    if spec is None:
        if pairs:
            raise UsageError("--source-opt is given without --source; give both, or neither")
        return None
    return source_ref(spec).with_options(pairs)


def moved(source: Ref, place: Ref | str) -> Ref:
    """Return a source at another place, with its old options except where new ones are given.

    >>> moved(Ref("file", "a.txt", {"encoding": "utf-16"}), "file:b.txt").table()
    {'use': 'file:b.txt', 'encoding': 'utf-16'}
    """
    there = source_ref(place) if isinstance(place, str) else place
    if there.use != source.use:
        return there
    return Ref(there.use, there.argument, {**source.options, **there.options})


def _states_a_width(cell: Any, options: Iterable[str]) -> bool:
    """Return whether a spec such as ``stacked:lstm:64*2``, or an option, sets the cell's width."""
    spec = cell if isinstance(cell, str) else ""
    return bool(re.search(r":\d", spec)) or any(text.startswith("features=") for text in options)


def _recipe_like(system: str, recipe: str | None) -> str:
    if system not in LIKE:
        raise UnknownNameError("system to imitate", system, LIKE)
    if recipe is not None:
        raise UsageError(
            f"--like {system} and --recipe {recipe} are both given, and both choose a recipe; "
            "give one of them"
        )
    return system


def _pairs(kind: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--{kind}-opt is {text!r}; expected KEY=VALUE")
        pairs[key] = value
    return pairs
