"""Validation of plain data from a file against type annotations.

Nothing is converted and nothing is filled in: a value has the type, or is refused. The types are
annotations: ``int``, ``str | None``, ``list[...]``, ``dict[str, ...]``, ``Literal``, a
``TypedDict`` or a dataclass, ``Any`` for plain data of any kind, and ``Annotated`` with bounds.
"""

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, get_args, get_origin

from charrnn_core.errors import shown

_DEEPEST = 64
_PLAIN = (str, bool, int, float, types.NoneType)
_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    int: ((int,), "an integer"),
    float: ((float, int), "a number"),
    str: ((str,), "a text"),
    bool: ((bool,), "true or false"),
    types.NoneType: ((types.NoneType,), "nothing"),
}


@dataclass(frozen=True)
class Between:
    """A range that a number has to be in; it also has to be finite."""

    least: float
    most: float

    def __call__(self, value: Any) -> str | None:
        if math.isfinite(value) and self.least <= value <= self.most:
            return None
        return f"a number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Like:
    """A pattern that a whole text has to match."""

    pattern: str
    what: str

    def __call__(self, value: Any) -> str | None:
        return None if re.fullmatch(self.pattern, value, re.DOTALL) else self.what


@dataclass(frozen=True)
class AlsoBytes:
    """A mark that lets ``Any`` be bytes as well, which JSON cannot hold."""

    def __call__(self, value: Any) -> str | None:
        return None


Count = Annotated[int, Between(0, 2**63 - 1)]
"""A number of things."""

Name = Annotated[str, Like(r".{1,1000}", "a text of 1 to 1000 characters")]
"""A short text."""


def check(value: Any, annotation: Any, what: str = "") -> None:
    """Raise unless plain data has a type.

    Arguments:
        value: the data.
        annotation: the type; fields of a dataclass may be missing.
        what: the path to the value, for the message.

    Raises:
        ValueError: it has another; the message has the path, the value and what was expected.

    >>> check({"step": [3, -1]}, dict[str, list[Count]])
    Traceback (most recent call last):
    ValueError: step[1] is -1; expected a number from 0 to 9223372036854775807
    """
    marks: list[Any] = []
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        _check_plain(value, AlsoBytes() in marks, what)
    elif origin is NotRequired:
        check(value, arguments[0], what)
    elif origin in (typing.Union, types.UnionType):
        _check_optional(value, arguments, what)
    elif origin is Literal:
        if not any(type(value) is type(one) and value == one for one in arguments):
            raise _refused(what, value, " or ".join(map(repr, arguments)))
    elif origin is list:
        _check_list(value, lambda item, name: check(item, arguments[0], name), what)
    elif origin is dict:
        _check_names(value, what)
        for name, item in value.items():
            check(item, arguments[1], _inside(what, name))
    elif annotation in _KINDS:
        kinds, expected = _KINDS[annotation]
        if type(value) not in kinds:
            raise _refused(what, value, expected)
    else:
        _check_fields(value, annotation, what)
    for mark in marks:
        if (expected := mark(value)) is not None:
            raise _refused(what, value, expected)


def for_json(value: Any) -> Any:
    """Return plain data for JSON: bytes in hexadecimal, infinities and NaN as text.

    >>> for_json({"best": math.inf, "state": [b"ho", 1]})
    {'best': 'inf', 'state': ['686f', 1]}
    """
    if isinstance(value, Mapping):
        return {name: for_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _check_optional(value: Any, choices: tuple[Any, ...], what: str) -> None:
    """Check a type that may also be None."""
    if value is not None or types.NoneType not in choices:
        check(value, next(one for one in choices if one is not types.NoneType), what)


def _check_list(value: Any, check_item: Callable[[Any, str], None], what: str) -> None:
    if not isinstance(value, list):
        raise _refused(what, value, "a list")
    for number, item in enumerate(value):
        check_item(item, f"{what}[{number}]")


def _check_names(value: Any, what: str) -> None:
    if not isinstance(value, Mapping):
        raise _refused(what, value, "a table")
    for name in value:
        if not isinstance(name, str):
            raise _refused(what, name, "a text as a key")


@functools.cache
def _fields(annotation: Any) -> dict[str, Any]:
    return typing.get_type_hints(annotation, include_extras=True)


def _check_fields(value: Any, annotation: Any, what: str) -> None:
    """Check a table with named fields; its other values may be any plain data."""
    _check_names(value, what)
    fields = _fields(annotation)
    if not dataclasses.is_dataclass(annotation):
        for name in sorted(annotation.__required_keys__ - value.keys()):
            raise ValueError(f"{_inside(what, name)} is missing")
    for name, item in value.items():
        check(item, fields.get(name, Any), _inside(what, name))


def _check_plain(value: Any, also_bytes: bool, what: str) -> None:
    """Check that JSON can hold the data, and that it is not nested too deep."""
    level, depth = [value], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError(f"{what} is nested more than {_DEEPEST} deep")
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                _check_names(item, what)
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
            elif not (also_bytes and isinstance(item, bytes)) and type(item) not in _PLAIN:
                raise _refused(what, item, "plain data")
        level, depth = inner, depth + 1


def _inside(what: str, name: str) -> str:
    name = name if name.isidentifier() else shown(name)
    return f"{what}.{name}" if what else name


def _refused(what: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{what or 'it'} is {shown(value)}; expected {expected}")
