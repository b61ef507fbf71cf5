"""Options: what a plugin lets its users set, as a frozen keyword-only dataclass.

A field is declared with `opt`, which adds help and bounds to a default. Values arrive as text from
the command line or as plain values from TOML and Python; both are checked against the annotation.
"""

import dataclasses
import functools
import math
import operator
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args, get_origin

from charrnn_core.errors import OptionError, UnknownNameError, shown
from charrnn_core.public import public
from charrnn_core.registry.habits import setting_for
from charrnn_core.registry.spec import Ref, parse_refs

CellRef: TypeAlias = Ref
"""The annotation of an option that names a cell; the core builds it and passes it finished."""

_BOUNDS = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
}
_INT_BITS = 64
_DEEPEST = 64
_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@public
@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a component that has none."""


@public
def opt(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one option of an options dataclass.

    Arguments:
        default: the value when the user gives none; without it the option must be given.
        help: one sentence, shown by ``charrnn plugins show``.
        ge, gt, le, lt: bounds the value must keep.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class ElmanOptions:
    ...     features: int = opt(256, help="width of the hidden state", ge=1)
    >>> read_options(ElmanOptions, {"features": "128"})
    ElmanOptions(features=128)
    """
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {"help": help, "bounds": {k: v for k, v in bounds.items() if v is not None}}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_options_type(options: type) -> None:
    """Raise `OptionError` unless `options` is a frozen keyword-only dataclass."""
    parameters = getattr(options, "__dataclass_params__", None)
    if not (parameters and parameters.frozen and all(f.kw_only for f in _fields(options))):
        raise OptionError(
            f"{options!r} cannot hold options; expected a class decorated with "
            "@dataclass(frozen=True, kw_only=True)"
        )


def _fields(options: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(options)


@functools.cache
def annotations(options: type) -> dict[str, Any]:
    """Return the options' resolved annotations by name, in order of declaration."""
    hints = typing.get_type_hints(options)
    return {item.name: hints[item.name] for item in _fields(options)}


def read_options(options: type, values: Mapping[str, Any], owner: str = "component") -> Any:
    """Build an options object from values given as text or as plain values.

    Arguments:
        options: a frozen keyword-only dataclass.
        values: option values by name.
        owner: how messages call the component, such as ``"cell 'elman'"``.

    Raises:
        UnknownNameError: a name is not an option; the nearest is listed.
        OptionError: a value has the wrong type, is out of bounds, or is missing.
    """
    check_names(options, values, owner)
    known, read = annotations(options), {}
    for field in _fields(options):
        if field.name in values:
            what = f"option {field.name!r} of {owner}"
            read[field.name] = _coerce(values[field.name], known[field.name], what)
            _check_bounds(read[field.name], field.metadata.get("bounds", {}), what)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            help = field.metadata.get("help", "")
            raise OptionError(f"{owner} needs the option {field.name!r}: {help}")
    try:
        return options(**read)
    except ValueError as error:
        raise OptionError(f"{owner}: {error}") from error


def check_names(options: type, names: Iterable[str], owner: str) -> None:
    """Refuse what is no option; `options` and `owner` are those of `read_options`.

    Raises:
        UnknownNameError: a name is not an option; the nearest is listed.
    """
    known = annotations(options)
    for name in names:
        if name not in known:
            instead = setting_for(name, known)
            raise UnknownNameError(f"option of {owner}", name, known, instead=instead)


def settle(options: Any, owner: str) -> None:
    """Read every value of an options object by its annotation and bounds, in its ``__post_init__``.

    Raises:
        OptionError: a value has the wrong type or is out of bounds.
    """
    for field in _fields(options):
        what = f"option {field.name!r} of {owner}"
        value = _coerce(getattr(options, field.name), annotations(type(options))[field.name], what)
        _check_bounds(value, field.metadata.get("bounds", {}), what)
        object.__setattr__(options, field.name, value)


def check_plain(values: Mapping[str, Any]) -> None:
    """Raise `OptionError` for values from a file that no option can hold.

    They are integers of more than 64 bits and values nested very deep: Python refuses to show,
    compare or convert them with errors of its own.
    """
    for name, value in values.items():
        level, depth = [value], 0
        while level:
            if any(isinstance(item, int) and not _fits(item) for item in level):
                raise OptionError(f"{shown(name)} has an integer of more than {_INT_BITS} bits")
            if depth > _DEEPEST:
                raise OptionError(f"{shown(name)} is nested more than {_DEEPEST} deep")
            level, depth = [inner for item in level for inner in _inside(item)], depth + 1


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _fits(value: int) -> bool:
    return -(2 ** (_INT_BITS - 1)) <= value < 2 ** (_INT_BITS - 1)


def option_values(options: Any) -> dict[str, Any]:
    """Return the values of an options object by name, defaults included."""
    return {item.name: getattr(options, item.name) for item in _fields(options)}


def describe_options(options: type) -> list[dict[str, Any]]:
    """Return name, type, default, bounds and help of every option, as plain data.

    A default of None means that the option must be given, or may be left out if its type says so.
    """
    rows = []
    for field in _fields(options):
        default = None if field.default is dataclasses.MISSING else field.default
        bounds = field.metadata.get("bounds", {}).items()
        rows.append(
            {
                "name": field.name,
                "type": type_name(annotations(options)[field.name]),
                "default": default if isinstance(default, int | float | str) else None,
                "bounds": ", ".join(f"{_BOUNDS[key][0]} {bound:g}" for key, bound in bounds),
                "help": field.metadata.get("help", ""),
            }
        )
    return rows


def type_name(annotation: Any) -> str:
    """Return the name of an annotation in messages and listings.

    >>> type_name(tuple[CellRef, ...]), type_name(Literal["relu", "tanh"]), type_name(int | None)
    ('list of components', "'relu' or 'tanh'", 'int or none')
    """
    if annotation is Ref:
        return "component"
    if get_origin(annotation) is tuple:
        return f"list of {type_name(get_args(annotation)[0])}s"
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(type_name(item) for item in get_args(annotation))
    if annotation is type(None):
        return "none"
    return getattr(annotation, "__name__", str(annotation))


def placeholder(annotation: Any) -> str:
    """Return the placeholder for a value in the command line's help.

    >>> placeholder(CellRef), placeholder(Literal["relu", "tanh"]), placeholder(int | None)
    ('SPEC', 'relu|tanh', 'INT')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Ref or origin is tuple:
        return "SPEC"
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return "|".join(placeholder(item) for item in arguments if item is not type(None))
    return "TEXT" if annotation is str else annotation.__name__.upper()


def _check_bounds(value: Any, bounds: Mapping[str, float], what: str) -> None:
    for key, bound in bounds.items():
        symbol, keeps = _BOUNDS[key]
        if isinstance(value, int | float) and not keeps(value, bound):
            raise OptionError(f"{what} is {shown(value)}; expected a value {symbol} {bound}")


def _coerce(value: Any, annotation: Any, what: str) -> Any:
    """Read a value as `annotation` says, from text or from a plain value."""
    try:
        return _read(value, annotation)
    except OverflowError as error:
        raise OptionError(
            f"{what} is {shown(value)}; expected a number of at most {_INT_BITS} bits"
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise OptionError(f"{what} is {shown(value)}; expected {type_name(annotation)}") from error


def _read(value: Any, annotation: Any) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _read_union(value, arguments)
    if origin is Literal:
        for choice in arguments:
            if value == choice or str(value) == str(choice):
                return choice
        raise ValueError
    if origin is tuple:
        if arguments[0] is Ref:
            return parse_refs(value)
        entries = value.split(",") if isinstance(value, str) else value
        return tuple(_read(entry, arguments[0]) for entry in entries)
    if annotation is Ref:
        return Ref.parse(value)
    if annotation is bool:
        return _read_bool(value)
    if annotation is int:
        return _read_int(value)
    if annotation is float and isinstance(value, int | float | str):
        if isinstance(value, bool) or not math.isfinite(float(value)):
            raise ValueError
        return float(value)
    if isinstance(value, annotation):
        return value
    raise ValueError


def _read_union(value: Any, choices: tuple[Any, ...]) -> Any:
    if type(None) in choices and (value is None or value in ("", "none")):
        return None
    for choice in choices:
        if choice is not type(None):
            try:
                return _read(value, choice)
            except (ValueError, TypeError):
                continue
    raise ValueError


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise ValueError


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    number = _read_suffixed(value) if isinstance(value, str) else value
    if not _fits(number):
        raise OverflowError
    return number


def _read_suffixed(text: str) -> int:
    """Read an integer, with or without a suffix: ``300k`` is 300,000, ``1.5M`` is 1,500,000."""
    times = _SUFFIXES.get(text.strip()[-1:])
    if times is None:
        return int(text)
    number = round(float(text.strip()[:-1]) * times, 6)  # 2.01 * 1e3 is a little less than 2010
    if not number.is_integer():
        raise ValueError
    return int(number)
