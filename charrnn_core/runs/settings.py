"""From what a user typed to the configuration of a run."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.errors import UnknownNameError, UsageError
from charrnn_core.registry.descriptors import KINDS, RecipePlugin
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref, parse_refs, source_ref
from charrnn_core.registry.width import states_width
from charrnn_core.runs.config import COMPONENT_LISTS, COMPONENTS, RunConfig, layered
from charrnn_core.runs.settings_file import read_toml

WITH_OPTIONS = tuple(kind for kind in KINDS if kind in {**COMPONENTS, **COMPONENT_LISTS})
"""The kinds of components that have ``--KIND-opt``; of a chain it sets options of the first."""

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
    registry: Registry | None = None,
) -> RunConfig:
    """Return the configuration: defaults, overridden by the recipe, the file, the command line.

    With ``init_from`` the network is the one those parameters belong to, unless set otherwise.

    Arguments:
        file: a TOML file.
        values: settings by name; None means not given. ``recipe`` and ``like`` name recipes.
        options: ``KEY=VALUE`` texts by kind of component.
        learning_rate: the optimizer's option of that name.
        quiet: whether to leave out the progress display.
        observers: specs of additional observers.
        registry: where recipes are looked up; by default the plugins installed.

    Raises:
        StorageError: the file, or the run to start from, cannot be read.
        UsageError: a value is wrong; the subclass and the message say which.

    >>> dict(read_settings(None, {"batch": "8"}, {"cell": ["features=3"]}).cell.options)
    {'features': '3'}
    """
    below = {} if file is None else read_toml(file)
    typed = {name: value for name, value in values.items() if value is not None}
    if (like := typed.pop("like", None)) is not None:
        registry = registry or Registry.installed()
        typed["recipe"] = _recipe_like(like, typed.get("recipe"), registry)
    if states_width([typed.get("cell"), _pairs("cell", options.get("cell", ()))]):
        typed.setdefault("parameters", None)  # overrides the one of a recipe or file
    origin, network = typed.get("init_from", below.get("init_from")), {}
    if isinstance(origin, str):
        from charrnn_core.runs.opening import saved_network  # numpy would slow --help down

        network = saved_network(Path(origin))
        # Its width is already known, so a recipe must not resize it.
        below = {"parameters": None, **network, **below}
    settings = RunConfig.read(layered(below, typed), registry)
    given = {kind: _pairs(kind, options.get(kind, ())) for kind in WITH_OPTIONS}
    if learning_rate is not None:
        given["optimizer"]["learning_rate"] = learning_rate
    settings = _with_options(settings, given)
    if network:
        from charrnn_core.runs.opening import check_cell

        cell = (registry or Registry.installed()).resolve("cell", settings.cell)
        check_cell(str(origin), network["cell"], cell.table())
    return watched(settings, quiet, observers)


def _with_options(settings: RunConfig, given: Mapping[str, Mapping[str, str]]) -> RunConfig:
    """Return the run with options of its components set, of a chain those of its first sampler."""
    changes: dict[str, Ref | tuple[Ref, ...]] = {}
    for kind, pairs in given.items():
        if not pairs:
            continue
        if kind == "sampler":
            first, *others = settings.sampler
            changes[kind] = (first.with_options(pairs), *others)
        else:
            changes[kind] = getattr(settings, kind).with_options(pairs)
    return dataclasses.replace(settings, **changes)


def read_typed(given: Mapping[str, Any], registry: Registry | None = None) -> RunConfig:
    """Return the configuration for the options of ``charrnn run``, given by their Python names.

    Raises:
        StorageError: the file, or the run to start from, cannot be read.
        UsageError: a value is wrong; the subclass and the message say which.
    """
    values = dict(given)
    options = {kind: values.pop(f"{kind}_opt") for kind in WITH_OPTIONS}
    file, learning_rate = values.pop("config"), values.pop("lr")
    quiet, observers = values.pop("quiet"), values.pop("observer")
    return read_settings(
        file,
        values,
        options,
        learning_rate=learning_rate,
        quiet=quiet,
        observers=observers,
        registry=registry,
    )


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


def recipe_names(registry: Registry) -> list[str]:
    """Return the names of the recipes, in the order of their plugins.

    >>> recipe_names(Registry.installed())[:3]
    ['default', 'notebook', 'best']
    """
    return list(dict.fromkeys(recipe.name for recipe in registry.offered(RecipePlugin)))


def imitations(registry: Registry) -> list[str]:
    """Return the names of the recipes that imitate another system.

    >>> imitations(Registry.installed())[:2]
    ['char-rnn', 'torch-rnn']
    """
    recipes = registry.offered(RecipePlugin)
    return list(dict.fromkeys(recipe.name for recipe in recipes if recipe.imitates))


def _recipe_like(system: str, recipe: str | None, registry: Registry) -> str:
    systems = imitations(registry)
    if system.rpartition("/")[2] not in systems:
        raise UnknownNameError("system to imitate", system, systems)
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
