"""Specs: how a user names a component, and the `Ref` a spec is read into.

A spec is ``NAME[:ARGUMENT]``, split at the first colon; ``DIST/NAME`` picks one of two providers.
In TOML the same is a table: ``{use = "elman", features = 256}``. Both become a `Ref`, the only form
the core works with. A list of specs is separated by commas; ``*N`` repeats an entry.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from charrnn_core.errors import SourceError, SpecError, shown
from charrnn_core.public import public
from charrnn_core.registry.things import is_thing, made_of, name_of

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*/)?[a-z][a-z0-9_-]+")
_REPEAT = re.compile(r"(?P<spec>.*)\*(?P<times>[0-9]+)", re.DOTALL)
_MOST_REPEATS = 64
_PATH_SOURCE = "file"
"""The source that reads an existing path given alone."""


def _frozen(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(options))


@public
@dataclass(frozen=True)
class Ref:
    """A component by name, with what its spec says about its options.

    Arguments:
        use: the plugin's name, or ``DIST/NAME``.
        argument: the text after the colon of a spec, if there was one.
        options: option values by name; they may hold further `Ref` objects.
        given: the component itself, or its class, if it is an object of the program; for a source
            its `Corpus`.

    >>> Ref.parse("elman:256")
    Ref(use='elman', argument='256', options=mappingproxy({}))
    >>> Ref.parse({"use": "elman", "features": 256}).options["features"]
    256
    """

    use: str
    argument: str | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: _frozen({}))
    given: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.use):
            raise SpecError(
                f"{shown(self.use)} is not the name of a component; expected NAME or NAME:ARGUMENT "
                "with a NAME of at least two lower-case letters, digits, '-' or '_', "
                "such as elman:256"
            )
        object.__setattr__(self, "options", _frozen(self.options))

    def __hash__(self) -> int:
        return hash((self.use, self.argument, tuple(sorted(self.options))))

    @classmethod
    def parse(cls, value: Any) -> "Ref":
        """Read a spec, a table with the key ``use``, or a `Ref` itself; or take an object as it is.

        An object is a component that the program has made, or a class or function that makes one.

        Raises:
            SpecError: the value is none of these, or its name is malformed.
        """
        if isinstance(value, Ref):
            return value
        if isinstance(value, str):
            name, colon, argument = value.partition(":")
            return cls(name, argument if colon else None)
        if isinstance(value, Mapping) and isinstance(value.get("use"), str):
            named = cls.parse(value["use"])
            options = {key: item for key, item in value.items() if key != "use"}
            return cls(named.use, named.argument, options)
        if is_thing(value):
            made, options = made_of(value)
            return cls(name_of(made), None, options, made)
        raise SpecError(
            f"{shown(value)} does not name a component; expected a spec such as elman:256, "
            "or a table such as {use = 'elman', features = 256}"
        )

    def with_options(self, options: Mapping[str, Any]) -> "Ref":
        """Return the component with these option values on top of its own."""
        return Ref(self.use, self.argument, {**self.options, **options}, self.given)

    def table(self) -> dict[str, Any]:
        """Return the plain form, for TOML and checkpoints: ``{"use": ..., option: value, ...}``.

        >>> Ref("stacked", None, {"layers": (Ref("elman", "8"),)}).table()
        {'use': 'stacked', 'layers': [{'use': 'elman:8'}]}
        """
        use = self.use if self.argument is None else f"{self.use}:{self.argument}"
        return {"use": use, **{key: _plain(item) for key, item in self.options.items()}}


class Initialised(Protocol):
    """A cell, or an optimizer of optax, as far as it has to be known here."""

    @property
    def init(self) -> Any: ...


class HasText(Protocol):
    """A `charrnn_core.Corpus`, as far as it has to be known here."""

    @property
    def sha256(self) -> str: ...


Spec: TypeAlias = str | Mapping[str, Any] | Ref | Callable[..., Any] | Initialised
"""Whatever names a component: a spec, a table, or a `Ref`; or an object that is one."""

if TYPE_CHECKING:
    # To a type checker, a field of this type takes any spec and reads as a `Ref`, as it does.

    class RefField:
        """A field of a dataclass that becomes a `Ref` when it is set."""

        def __get__(self, instance: object, owner: type) -> Ref: ...
        def __set__(self, instance: object, value: Spec) -> None: ...

    class SourceField(RefField):
        """The same for a source, which may be a text, or what has one."""

        def __set__(self, instance: object, value: Spec | Iterable[str] | HasText) -> None: ...

    class RefsField:
        """A field of a dataclass that becomes a tuple of `Ref` when it is set."""

        def __get__(self, instance: object, owner: type) -> tuple[Ref, ...]: ...
        def __set__(self, instance: object, value: Spec | Iterable[Spec]) -> None: ...

else:
    RefField, SourceField, RefsField = Ref, Ref, tuple[Ref, ...]


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.table()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def parse_refs(value: Any) -> tuple[Ref, ...]:
    """Read a list of components from ``a:1,b:2*3`` or from a list of specs and tables.

    Raises:
        SpecError: an entry is malformed, or a repeat count is out of bounds.

    >>> [ref.use for ref in parse_refs("elman:128*2,irnn")]
    ['elman', 'elman', 'irnn']
    """
    if isinstance(value, Ref | Mapping) or is_thing(value):
        value = [value]
    entries = value.split(",") if isinstance(value, str) else list(value)
    refs: list[Ref] = []
    for entry in entries:
        times = 1
        if isinstance(entry, str):
            entry = entry.strip()
            if match := _REPEAT.fullmatch(entry):
                # Three digits decide; Python reads no integer of thousands of them.
                times = int(match["times"].lstrip("0")[:3] or 0)
                if not 1 <= times <= _MOST_REPEATS:
                    raise SpecError(
                        f"{shown(entry)}: expected to repeat 1 to {_MOST_REPEATS} times"
                    )
                entry = match["spec"]
        refs += [Ref.parse(entry)] * times
    return tuple(refs)


def source_ref(text: str) -> Ref:
    """Read a source spec; an existing path alone, a pattern, or ``-`` means ``file:PATH``.

    Raises:
        SourceError: the text looks like a path, but nothing exists there.

    >>> [source_ref(text).use for text in ("gutenberg:520", "/", "~", "books/*.txt")]
    ['gutenberg', 'file', 'file', 'file']
    """
    is_path = "\0" not in text and os.path.exists(os.path.expanduser(text))
    if text == "-" or is_path:
        return Ref(_PATH_SOURCE, text)
    try:
        return Ref.parse(text)
    except SpecError as error:
        if any(symbol in text for symbol in "*?["):
            return Ref(_PATH_SOURCE, text)
        raise SourceError(
            f"{shown(text)} is neither an existing path nor a source such as gutenberg:520"
        ) from error
