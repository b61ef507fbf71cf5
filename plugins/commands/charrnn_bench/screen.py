"""The table on the screen: fitted to the width of the terminal, numbers right-aligned."""

from collections.abc import Sequence

from charrnn_bench.plan import Plan
from charrnn_bench.results import Row
from charrnn_bench.survey import Survey
from charrnn_bench.table import OVER_TEXT, about, heading, remarks, row_cells
from charrnn_core.console.layout import folded
from charrnn_core.console.table import fitted
from charrnn_core.terminal import printable

_STARRED = " *"
_DISPENSABLE = ("MiB", "seeds", "params", "chars/s", "bytes/s", "95 % interval")
"""Columns to drop if the table does not fit, in this order."""


def text(
    plan: Plan, survey: Survey, rows: Sequence[Row], command: str, width: int | None
) -> list[str]:
    """Return the lines of the report for a terminal of this width; None does not wrap lines."""
    table, dropped = fitted([_head(survey), *map(_cells, rows)], width, _DISPENSABLE)
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
