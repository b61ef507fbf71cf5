"""The width of a cell, as its spec and its options have it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from charrnn_core.registry.spec import Ref

WIDTH = "features"
"""The option in which every cell has its width."""

_IN_A_SPEC = re.compile(r":\d")


def states_width(cell: Any) -> bool:
    """Return whether a cell that is not resolved yet, or one in it, is given its width.

    Arguments:
        cell: a spec, a table or a `Ref`.

    >>> [states_width(cell) for cell in ("lstm", "stacked:gru:64*2", {"use": "gru", "features": 3})]
    [False, True, True]
    """
    match cell:
        case Ref():
            return cell.given is not None or states_width(cell.table())
        case str():
            return bool(_IN_A_SPEC.search(cell))
        case Mapping():
            return WIDTH in cell or any(map(states_width, cell.values()))
        case list() | tuple():
            return any(map(states_width, cell))
    return False


def widths(cell: Ref) -> list[int]:
    """Return the widths of a resolved cell: its own, and those of the cells in it."""
    found = []
    for name, value in cell.options.items():
        if name == WIDTH and isinstance(value, int):
            found.append(value)
        found += [width for inner in _inner(value) for width in widths(inner)]
    return found


def scale_cell(cell: Ref, scale: float) -> Ref:
    """Return a resolved cell with every width in it multiplied, to at least 1."""

    def change(name: str, value: object) -> object:
        if name == WIDTH and isinstance(value, int):
            return max(1, round(value * scale))
        if isinstance(value, Ref):
            return scale_cell(value, scale)
        if isinstance(value, tuple):
            return tuple(scale_cell(v, scale) if isinstance(v, Ref) else v for v in value)
        return value

    return Ref(cell.use, cell.argument, {k: change(k, v) for k, v in cell.options.items()})


def _inner(value: object) -> Iterable[Ref]:
    entries = value if isinstance(value, tuple) else (value,)
    return [entry for entry in entries if isinstance(entry, Ref)]
