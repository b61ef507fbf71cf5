"""Objects that stand for themselves where a component is named, such as a cell of a notebook."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = (bool, int, float, str)
_OF_FLAX = ("parent", "name")
"""Fields that flax linen adds to every module."""

_METHODS = (("init", "step"), ("init", "update"), ("bind",))
"""The methods by which an object is known as a cell, an optimizer or a sampler."""


def is_thing(value: Any) -> bool:
    """Return whether a value can be a component itself: a class, a function or such an object.

    >>> is_thing(len), is_thing("elman"), is_thing(None)
    (True, False, False)
    """
    return callable(value) or any(all(hasattr(value, name) for name in part) for part in _METHODS)


def name_of(thing: Any) -> str:
    """Return how a thing is called in specs.

    >>> class MyCell: ...
    >>> name_of(MyCell), name_of(MyCell()), name_of(len)
    ('my-cell', 'my-cell', 'len')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", called(thing)).lower()
    name = re.sub(r"[^a-z0-9_-]+", "", words).strip("_-")
    return name if re.fullmatch(r"[a-z].+", name) else f"my-{name}"


def called(thing: Any) -> str:
    """Return the name of a class or function, of an object that of its class."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    return getattr(thing, "__name__", None) or type(thing).__name__


def made_of(thing: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return a class and the options that make an object of it; the object itself without options.

    Only a dataclass, as every module of flax linen is one, tells what it was made of.

    >>> @dataclasses.dataclass
    ... class MyCell:
    ...     features: int
    >>> made_of(MyCell(32))[1]
    {'features': 32}
    """
    if isinstance(thing, type) or not dataclasses.is_dataclass(thing):
        return thing, {}
    options = {}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if field.name in _OF_FLAX or not field.init:
            continue
        if type(value) in _PLAIN:
            options[field.name] = value
        elif value is not field.default:
            return thing, {}
    return type(thing), options
