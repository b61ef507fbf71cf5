"""The table on the screen: fitted to the width of the terminal, numbers right-aligned."""

from collections.abc import Sequence

from charrnn_bench.plan import Plan
from charrnn_bench.results import Row
from charrnn_bench.survey import Survey
from charrnn_bench.table import OVER_TEXT, about, heading, remarks, row_cells
from charrnn_core.console.layout import folded
from charrnn_core.terminal import printable

_STARRED = " *"
_NAME = 15
"""The width of the first column if names do not fit; longer names get a line of their own."""

_DISPENSABLE = ("MiB", "seeds", "params", "chars/s", "bytes/s", "95 % interval")
"""Columns to drop if the table does not fit, in this order."""


def text(
    plan: Plan, survey: Survey, rows: Sequence[Row], command: str, width: int | None
) -> list[str]:
    """Return the lines of the report for a terminal of this width; None does not wrap lines."""
    table, dropped = fitted([_head(survey), *map(_cells, rows)], width)
    notes = [note.replace(OVER_TEXT, _STARRED) for note in remarks(survey, rows)]
    if dropped:
        notes.append(f"no room for {', '.join(dropped)}: results.md has all columns")
    notes += about(survey)
    notes = [line for note in notes for line in folded(note, width, rest="  ")]
    top = folded(heading(plan, survey), width)
    return [*top, "", *table, "", *notes, f"command: {printable(command)}"]


def _head(survey: Survey) -> tuple[str, ...]:
    unit = "byte" if survey.unit == "byte" else "char"
    return ("cell", f"bits/{unit}", "95 % interval", f"{unit}s/s", "params", "MiB", "seeds")


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(printable(cell.replace(OVER_TEXT, _STARRED)) for cell in row_cells(row))


def fitted(rows: Sequence[tuple[str, ...]], width: int | None) -> tuple[list[str], list[str]]:
    """Return the lines of a table, its head first, and the heads of the columns dropped.

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
