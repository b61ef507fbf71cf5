"""Where the elements are that a loop reads: an expression if there is a rule, else a table."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Named = Callable[[npt.NDArray[Any]], str]
"""Gives an array of constants a name."""


def at(variable: str, step: int = 1, start: int | str = 0) -> str:
    """Return ``start + step variable`` as an expression.

    >>> at("i"), at("i", 0, 3), at("i", 2, "s")
    ('i', '3', 's+2*i')
    """
    term = variable if step == 1 else f"{step}*{variable}"
    if step == 0:
        return str(start)
    return term if start in (0, "") else f"{start}+{term}"


def place(table: npt.NDArray[Any], variable: str, named: Named) -> str:
    """Return ``table[variable]``, for a table with one axis.

    >>> place(np.array([3, 5, 7]), "i", lambda table: "k")
    '3+2*i'
    >>> place(np.array([0, 4, 1]), "i", lambda table: "k")
    'k[i]'
    """
    rule = _rule(table)
    return (
        at(variable, rule[1], rule[0]) if rule else f"{named(table.astype(np.int32))}[{variable}]"
    )


def place_in_row(table: npt.NDArray[Any], row: str, column: str, named: Named) -> str:
    """Return ``table[row, column]``, for a table with two axes.

    >>> place_in_row(np.array([[0, 2], [1, 3]]), "r", "c", lambda table: "k")
    'r+2*c'
    >>> place_in_row(np.array([[0, 1], [4, 5], [2, 3]]), "r", "c", lambda table: "k")
    'k[r]+c'
    """
    rows, columns = table.shape
    first, offsets = table[:, 0], table[0] - table[0, 0]
    if np.array_equal(table, first[:, None] + offsets):
        one, other = place(first, row, named), place(offsets, column, named)
        return other if one == "0" else one if other == "0" else f"{one}+{other}"
    return f"{named(table.reshape(-1).astype(np.int32))}[{columns}*{row}+{column}]"


def _rule(table: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Return the start and the step of a table that has a constant one."""
    if table.size < 2:
        return (int(table[0]) if table.size else 0), 0
    start, step = int(table[0]), int(table[1]) - int(table[0])
    return (start, step) if np.array_equal(table, start + step * np.arange(table.size)) else None
