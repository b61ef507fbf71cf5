"""Plugins that are given as objects of a program, such as a cell that was written in a notebook.

A run records that it needs them; who uses it again gives them again.
"""

import dataclasses
import hashlib
import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any

from charrnn_core.errors import PluginError, shown
from charrnn_core.registry.descriptors import (
    CellPlugin,
    LossPlugin,
    OptimizerPlugin,
    SamplerPlugin,
)
from charrnn_core.registry.distribution import OF_A_PROGRAM
from charrnn_core.registry.options import NoOptions, opt
from charrnn_core.registry.plugin import Component, Plugin
from charrnn_core.registry.provider import Origin, Provider
from charrnn_core.registry.spec import Ref
from charrnn_core.registry.things import called, is_thing, made_of, name_of

_CELL_METHODS = (("initialize_carry",), ("init", "initial_carry", "step"))
_PLAIN = (bool, int, float, str)
_DIGITS = 12
_GENERATED = "<string>"
"""The file of functions that ``dataclass`` makes."""


def providers_of(things: Iterable[Any]) -> list[Provider]:
    """Return what a program offers: cells, losses, samplers, optimizers, descriptors.

    A function does not say what it is, so it is offered as each of these; who needs it knows.

    Raises:
        PluginError: one of them is none of these.
    """
    return [provider for thing in things for provider in _offers(thing)]


def given_among(refs: Iterable[tuple[str, Ref]]) -> list[Provider]:
    """Return the components, each with its kind, that are objects; a source is a text instead."""
    given = [(kind, ref.given) for kind, ref in refs if kind in _MAKERS]
    return [provider_of(kind, thing) for kind, thing in given if thing is not None]


def provider_of(kind: str, thing: Any) -> Provider:
    """Return a thing as a component of a kind."""
    return _origin(thing).provider(_MAKERS[kind](thing))


def _offers(thing: Any) -> list[Provider]:
    if isinstance(thing, Plugin):
        target = thing.target if isinstance(thing, Component) else thing
        return [Origin(OF_A_PROGRAM, _version(target), thing.name).provider(thing)]
    if not is_thing(thing):
        raise PluginError(
            f"plugins has {shown(thing)}; expected a cell or its class, a loss, a sampler, an "
            "optimizer, or a descriptor such as SourcePlugin(...)"
        )
    if _is_cell(thing):  # a run names the class and its options, where an object tells them
        return [provider_of("cell", made_of(thing)[0])]
    return [provider_of(kind, thing) for kind in _MAKERS]


def _is_cell(thing: Any) -> bool:
    return any(all(hasattr(thing, name) for name in names) for names in _CELL_METHODS)


def _cell(thing: Any) -> CellPlugin:
    if not isinstance(thing, type) or "rngs" in inspect.signature(thing).parameters:
        return CellPlugin(name=name_of(thing), target=lambda: thing)
    options = _options(thing)
    first = next((field.name for field in dataclasses.fields(options)), None)
    return CellPlugin(name=name_of(thing), target=thing, options=options, argument=first)


def _made(descriptor: Callable[..., Component]) -> Callable[[Any], Component]:
    """Return what describes a loss, a sampler or an optimizer, which may be a class."""

    def describe(thing: Any) -> Component:
        def target(options: object, *others: object) -> Any:
            return thing() if isinstance(thing, type) else thing

        return descriptor(name=name_of(thing), target=target)

    return describe


_MAKERS: dict[str, Callable[[Any], Component]] = {
    "cell": _cell,
    "loss": _made(LossPlugin),
    "sampler": _made(SamplerPlugin),
    "optimizer": _made(OptimizerPlugin),
}


def _options(made: type) -> type:
    """Return the options of a class: what its constructor takes that is a number or a text."""
    hints = typing.get_type_hints(made if dataclasses.is_dataclass(made) else made.__init__)
    fields: list[tuple[str, Any, Any]] = []
    for name, parameter in inspect.signature(made).parameters.items():
        kind, default = hints.get(name), parameter.default
        if kind not in _PLAIN:
            kind = type(default)
        if kind not in _PLAIN or name in ("parent", "name"):
            continue
        needed = dataclasses.MISSING if default is parameter.empty else default
        fields.append((name, kind, opt(needed, help=f"what {made.__name__} takes as {name}")))
    if not fields:
        return NoOptions
    return dataclasses.make_dataclass(f"{made.__name__}Options", fields, frozen=True, kw_only=True)


def _origin(thing: Any) -> Origin:
    is_named = isinstance(thing, type) or inspect.isroutine(thing)
    return Origin(OF_A_PROGRAM, _version(thing), called(thing) + ("" if is_named else "(...)"))


def _version(thing: Any) -> str:
    """Return the beginning of the SHA-256 of a thing's source, or that it is unknown."""
    made = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    parts = list(vars(made).values()) if isinstance(made, type) else [made]
    functions = [inspect.unwrap(part) for part in parts if inspect.isroutine(part)]
    written_here = [f for f in functions if _file(f) not in (None, _GENERATED)]
    try:
        written = "".join(map(inspect.getsource, written_here))
    except (OSError, TypeError):  # typed into Python's prompt, or made by a library
        return "unknown"
    return f"sha256-{hashlib.sha256(written.encode()).hexdigest()[:_DIGITS]}"


def _file(function: Any) -> str | None:
    """Return the file of a function's source; None if it is not written in Python."""
    return getattr(getattr(function, "__code__", None), "co_filename", None)
