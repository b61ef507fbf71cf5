"""From what a user typed to the configuration of a run."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.errors import UnknownNameError, UsageError
from charrnn_core.registry.descriptors import KINDS, RecipePlugin
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref, parse_refs, source_ref
from charrnn_core.runs.config import COMPONENT_LISTS, COMPONENTS, RunConfig, layered, read_toml

WITH_OPTIONS = tuple(kind for kind in KINDS if kind in {**COMPONENTS, **COMPONENT_LISTS})
"""The kinds of components whose options can be set one by one: the only one, or the first."""

CHANGES = ("text", "config", "plugins", "alphabet", "shards")
"""What a user may allow to have changed since a run began, with ``resume --allow-change``."""


def read_settings(
    file: Path | None,
    values: Mapping[str, Any],
    options: Mapping[str, Iterable[str]],
    *,
    learning_rate: str | None = None,
    quiet: bool = False,
    observers: Iterable[str] = (),
    registry: Registry | None = None,
) -> RunConfig:
    """The configuration: defaults, then the recipe, then the file, then what was typed.

    With ``init_from`` the network is that of those parameters, unless another is asked for.

    Arguments:
        file: a TOML file.
        values: settings by name; None is not given. ``recipe`` and ``like`` name recipes.
        options: for each component ``KEY=VALUE`` texts.
        learning_rate: sets that option of the optimizer.
        quiet: without progress.
        observers: specs of more observers.
        registry: where recipes are looked up; by default the plugins installed.

    Raises:
        StorageError: the file, or the run to begin from, cannot be read.
        UsageError: the leaf says which value is wrong.

    >>> dict(read_settings(None, {"batch": "8"}, {"cell": ["features=3"]}).cell.options)
    {'features': '3'}
    """
    below = {} if file is None else read_toml(file)
    typed = {name: value for name, value in values.items() if value is not None}
    if (like := typed.pop("like", None)) is not None:
        registry = registry or Registry.installed()
        typed["recipe"] = _recipe_like(like, typed.get("recipe"), registry)
    if _states_a_width(typed.get("cell"), options.get("cell", ())):
        typed.setdefault("parameters", None)  # of a recipe or file: what is typed wins
    if isinstance(origin := typed.get("init_from", below.get("init_from")), str):
        from charrnn_core.runs.opening import saved_network  # numpy, which --help must not wait for

        below = {"parameters": None, **saved_network(Path(origin)), **below}  # its size is settled
    settings = RunConfig.read(layered(below, typed), registry)
    given = {kind: _pairs(kind, options.get(kind, ())) for kind in WITH_OPTIONS}
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
    """The same run without progress if `quiet`, and with more observers, given as specs.

    >>> [ref.use for ref in watched(RunConfig(), quiet=True, observers=["diary"]).observers]
    ['jsonl', 'diary']
    """
    kept = [ref for ref in settings.observers if not (quiet and ref.use == "progress")]
    added = [ref for spec in observers for ref in parse_refs(spec)]
    return dataclasses.replace(settings, observers=(*kept, *added))


def source_with(spec: str | None, options: Iterable[str]) -> Ref | None:
    """The source that a spec or path and ``KEY=VALUE`` texts name; None if there is no spec.

    Raises:
        UsageError: there are options, but no spec, or they are malformed.
        SourceError: the spec looks like a path, but there is nothing there.
    """
    pairs = _pairs("source", options)
    if spec is None:
        if pairs:
            raise UsageError("--source-opt is given, and --source is not; give both, or neither")
        return None
    return source_ref(spec).with_options(pairs)


def moved(source: Ref, place: Ref | str) -> Ref:
    """The same source at another place: with the options it has, unless others are given.

    >>> moved(Ref("file", "a.txt", {"encoding": "utf-16"}), "file:b.txt").table()
    {'use': 'file:b.txt', 'encoding': 'utf-16'}
    """
    there = source_ref(place) if isinstance(place, str) else place
    if there.use != source.use:
        return there
    return Ref(there.use, there.argument, {**source.options, **there.options})


def _states_a_width(cell: Any, options: Iterable[str]) -> bool:
    """Whether a typed spec such as ``stacked:lstm:64*2``, or a typed option, says how wide."""
    spec = cell if isinstance(cell, str) else ""
    return bool(re.search(r":\d", spec)) or any(text.startswith("features=") for text in options)


def recipe_names(registry: Registry) -> list[str]:
    """Return the names of the recipes, in the order of their plugins.

    >>> recipe_names(Registry.installed())[:3]
    ['default', 'notebook', 'best']
    """
    return list(dict.fromkeys(recipe.name for recipe in registry.offered(RecipePlugin)))


def imitations(registry: Registry) -> list[str]:
    """Return the names of those that do as another system does.

    >>> imitations(Registry.installed())[:2]
    ['char-rnn', 'torch-rnn']
    """
    recipes = registry.offered(RecipePlugin)
    return list(dict.fromkeys(recipe.name for recipe in recipes if recipe.imitates))


def _recipe_like(system: str, recipe: str | None, registry: Registry) -> str:
    systems = imitations(registry)
    if system.rpartition("/")[2] not in systems:
        raise UnknownNameError("system to be like", system, systems)
    if recipe is not None:
        raise UsageError(f"--like {system} is a recipe, and --recipe {recipe} is given; give one")
    return system


def _pairs(kind: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--{kind}-opt {text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs
