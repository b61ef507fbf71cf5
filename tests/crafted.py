"""Tables as somebody who means ill might write them: a sound one, of which parts are exchanged."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgpack

ESCAPE = "\x1b[2J\x1b]0;title\x07\n\r"
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 10**6, 10**12, 2**31, 2**63 - 1, 2**64 - 1, -(2**63), 0.0, -0.5,
    1e-300, 1e308, float("inf"), float("nan"), "", "x", "0", "none", "1e999", "9" * 400, ESCAPE,
    "elman:1000000000000", "lstm", "/dev/zero", "../../etc/passwd", "\N{COMBINING ACUTE ACCENT}",
    "x" * 5000, b"", b"\xff" * 9, [], [[]], [0], [-1], ["x"], [None], list(range(300)), DEEP, {},
    {"a": 1}, {"use": "elman", "features": 10**12}, {"use": "x" * 300}, {"use": ESCAPE},
    {"use": "elman", "features": {}}, {"a": {"b": [b"c"]}}, {ESCAPE: ESCAPE}, {b"a": 1},
    {"deferred": 1}, {"bytes": -1}, {"jsonl": {"bytes": -1}}, {"jsonl": 3}, "a" * 64, "running",
    "finished", "diverged", msgpack.Timestamp(2**33, 5), msgpack.ExtType(5, b"code"), "engine",
)  # fmt: skip
"""What is put in the place of anything: of every type, and of every kind of nuisance."""

Path = tuple[Any, ...]


def places(table: Any, above: Path = ()) -> Iterator[Path]:
    """The path of everything inside a table; of a long list only of its ends."""
    if isinstance(table, Mapping):
        for key in table:
            yield (*above, key)
            yield from places(table[key], (*above, key))
    elif isinstance(table, list):
        for number in sorted({0, len(table) - 1}) if table else ():
            yield (*above, number)
            yield from places(table[number], (*above, number))


def changed(table: Any, place: Path, value: Any) -> Any:
    """A table with another value at a place."""
    return _with(table, place, lambda around, key: around.__setitem__(key, value))


def dropped(table: Any, place: Path) -> Any:
    """A table without what is at a place."""
    return _with(table, place, lambda around, key: around.__delitem__(key))


def doubled(table: Any, place: Path) -> Any:
    """A table that has what is at a place once more: a list's item, or under another name."""

    def double(around: Any, key: Any) -> None:
        if isinstance(around, list):
            around.append(around[key])
        else:
            around[f"{key}2"] = around[key]

    return _with(table, place, double)


def _with(table: Any, place: Path, change: Callable[[Any, Any], Any]) -> Any:
    """A table that was changed at a place; all else is shared with the one before."""
    key, *further = place
    made = copy.copy(table)
    if further:
        made[key] = _with(made[key], tuple(further), change)
    else:
        change(made, key)
    return made


def one_change(table: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every table that differs in one place, with the place."""
    for place in places(table):
        for value in VALUES:
            yield place, changed(table, place, value)
        yield place, dropped(table, place)
        yield place, doubled(table, place)


def some_changes(table: Mapping[str, Any], rng: random.Random, most: int = 4) -> Any:
    """A table that differs in a few places."""
    for _ in range(rng.randint(1, most)):
        found = list(places(table))
        if not found:
            return table
        place = rng.choice(found)
        how = rng.randrange(8)
        if how < 6:
            table = changed(table, place, rng.choice(VALUES))
        else:
            table = (dropped if how == 6 else doubled)(table, place)
    return table
