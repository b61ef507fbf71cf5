"""The table for a person: as wide as the terminal, numbers to the right."""

from collections.abc import Sequence

from charrnn_bench.plan import Plan
from charrnn_bench.results import Row
from charrnn_bench.survey import Survey
from charrnn_bench.table import OVER_TEXT, about, heading, remarks, row_cells
from charrnn_core.console.layout import folded
from charrnn_core.terminal import printable

_STARRED = " *"
_NAME = 15
"""Where there is no room for its names the first column is so wide; longer ones stand above."""

_DISPENSABLE = ("MiB", "seeds", "params", "chars/s", "bytes/s", "95 % interval")
"""Columns that are left out, the first one first, where there is no room."""


def text(
    plan: Plan, survey: Survey, rows: Sequence[Row], command: str, width: int | None
) -> list[str]:
    """All of it as lines for a terminal so wide; None is none, and each row one line."""
    table, lacking = fitted([_head(survey), *map(_cells, rows)], width)
    told = [note.replace(OVER_TEXT, _STARRED) for note in remarks(survey, rows)]
    if lacking:
        told.append(f"no room for {', '.join(lacking)}: results.md has all columns")
    told += about(survey)
    notes = [line for note in told for line in folded(note, width, rest="  ")]
    top = folded(heading(plan, survey), width)
    return [*top, "", *table, "", *notes, f"command: {printable(command)}"]


def _head(survey: Survey) -> tuple[str, ...]:
    unit = "byte" if survey.unit == "byte" else "char"
    return ("cell", f"bits/{unit}", "95 % interval", f"{unit}s/s", "params", "MiB", "seeds")


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(printable(cell.replace(OVER_TEXT, _STARRED)) for cell in row_cells(row))


def fitted(rows: Sequence[tuple[str, ...]], width: int | None) -> tuple[list[str], list[str]]:
    """A table as lines, its head first, and the heads of the columns that had no room.

    >>> table = [("cell", "bits/char", "MiB"), ("stacked:gru:8*2", "2.5", "101")]
    >>> fitted(table, None)
    (['cell             bits/char  MiB', 'stacked:gru:8*2        2.5  101'], [])
    >>> fitted(table, 27)
    (['cell             bits/char', 'stacked:gru:8*2        2.5'], ['MiB'])
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    kept = [column for column in range(1, len(widths)) if any(row[column] for row in rows[1:])]

    def fits(name: int) -> bool:
        return width is None or name + sum(2 + widths[column] for column in kept) <= width

    name = widths[0] if fits(widths[0]) else min(_NAME, widths[0])
    lacking = []
    for head in _DISPENSABLE:
        if fits(name):
            break
        for column in [column for column in kept if rows[0][column] == head]:
            kept.remove(column)
            lacking.append(head)
    lines = []
    for row in rows:
        numbers = "".join(f"  {row[column]:>{widths[column]}}" for column in kept)
        if len(row[0]) > name:
            lines.append(row[0])
        beside = row[0] if len(row[0]) <= name else ""
        lines.append(f"{beside:{name}}{numbers}".rstrip())
    return lines, lacking
