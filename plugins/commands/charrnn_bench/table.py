"""The table as Markdown and as plain data for JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from charrnn_bench.budget import describe_budget
from charrnn_bench.plan import Plan
from charrnn_bench.results import Row
from charrnn_bench.survey import Survey
from charrnn_core.terminal import number

OVER_TEXT = " (text)"
"""The mark of an interval that is over the text, not over seeds."""


def heading(plan: Plan, survey: Survey) -> str:
    """Describe on one line what was compared."""
    unit, seeds = survey.unit, plan.seeds
    budget = describe_budget(plan.settings, plan.clock)
    return (
        f"{survey.source}: {survey.held_out_characters:,} {unit}s held out "
        f"({plan.settings.split}), {survey.train_characters:,} to learn from; "
        f"each cell {budget}, {seeds} seed{'s' if seeds > 1 else ''}"
    )


def markdown(plan: Plan, survey: Survey, rows: Sequence[Row], command: str) -> str:
    """Return the report in Markdown."""
    head = _head(survey)
    lines = [head, ("---", *("---:" for _ in head[1:])), *map(row_cells, rows)]
    notes = [*remarks(survey, rows), *about(survey), f"command: `{command}`"]
    return "\n".join(
        [
            f"{heading(plan, survey)}\n",
            *("| " + " | ".join(_escaped(cells)) + " |" for cells in lines),
            "",
            *(f"* {note}" for note in notes),
            "",
        ]
    )


def plain(plan: Plan, survey: Survey, rows: Iterable[Row], command: str) -> dict[str, Any]:
    """Return the report as plain data for JSON: ``plan``, ``survey``, ``command``, ``rows``."""
    return {
        "command": command,
        "plan": plan.table(),
        "survey": survey.table(),
        "rows": [row.table() for row in rows],
    }


def _head(survey: Survey) -> tuple[str, ...]:
    return (
        "cell",
        f"bits/{survey.unit}",
        "95 % interval",
        f"{survey.unit}s/s",
        "parameters",
        "peak MiB",
        "seeds",
    )


def row_cells(row: Row) -> tuple[str, ...]:
    """Return a row as it is printed.

    >>> row_cells(Row(name="n-gram, order 4", bits_per_char=2.25))
    ('n-gram, order 4', '2.2500', '', '', '', '', '')
    """
    interval = ""
    if row.interval is not None:
        interval = " to ".join(number(end, 4) for end in row.interval)
        interval += OVER_TEXT if row.interval_over == "text" else ""
    seeds = "" if row.seeds is None else f"{row.seeds}"
    if row.seeds is not None and row.seeds < len(row.outcomes):
        seeds = f"{row.seeds} of {len(row.outcomes)}"
    return (
        row.name,
        "failed" if row.bits_per_char is None else number(row.bits_per_char, 4),
        interval,
        "" if row.characters_per_second is None else f"{row.characters_per_second:,.0f}",
        "" if row.parameters is None else f"{row.parameters:,}",
        "" if row.peak_mebibytes is None else f"{row.peak_mebibytes:,.0f}",
        seeds,
    )


def remarks(survey: Survey, rows: Iterable[Row]) -> list[str]:
    """Return what a reader of the figures has to know."""
    over = {row.interval_over for row in rows}
    lines = [f"failed: {error}" for row in rows for error in row.errors]
    lines.append("losses: of the best model of each training")
    if "seeds" in over:
        lines.append("intervals: Student's t over seeds; another text may differ by more")
    if "text" in over:
        lines.append(
            f"intervals{OVER_TEXT}: bootstrap over the held-out text, as there is only one seed"
        )
    return [*lines, *survey.remarks]


def about(survey: Survey) -> list[str]:
    """Return a line on the machine and one on the versions."""
    versions = ", ".join(f"{name} {number}" for name, number in survey.versions.items())
    return [f"machine: {survey.machine}", f"versions: {versions}"]


def _escaped(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
