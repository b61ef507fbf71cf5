"""The list of plugins for a person: by kind, with what is wrong at the end; or a line for each."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from charrnn_core.console.layout import alarm, folded, heading, labelled
from charrnn_core.terminal import aligned, printable

_OURS = "charrnn"


def for_terminal(rows: Iterable[Mapping[str, str]], width: int) -> list[str]:
    """Return components by kind: name, summary, and the distribution if not charrnn.

    Arguments:
        rows: of `charrnn_core.registry.listing.list_plugins`.
        width: of the terminal.
    """
    rows = list(rows)
    lines: list[str] = []
    for kind, group in groupby(filter(_is_there, rows), key=lambda row: row["kind"]):
        told = [(row["name"], _told(row["summary"], _origin(row))) for row in group]
        lines += [heading(kind), *labelled(told, width, "  "), ""]
    faults = [
        line
        for row in rows
        if row["status"] != "ok"
        for line in folded(f"{_called(row)}: {row['status']}", width, "  ", "    ")
    ]
    if faults:
        lines += [heading("faults"), *map(alarm, faults), ""]
    return [*lines, *folded("the options of one: charrnn plugins show KIND NAME", width)]


def for_programs(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return a line for each: kind, name, summary; in brackets its origin and faults."""
    cells = []
    for row in rows:
        status = "" if row["status"] == "ok" else row["status"]
        told = (row["kind"], row["name"], _told(row["summary"], _origin(row), status))
        cells.append(tuple(printable(" ".join(cell.split())) for cell in told))
    return aligned(cells) if cells else []


def _told(summary: str, *remarks: str) -> str:
    """Return a summary, followed by remarks in brackets."""
    some = "; ".join(filter(None, remarks))
    return f"{summary} [{some}]".strip() if some else summary


def _is_there(row: Mapping[str, str]) -> bool:
    return not row["status"].startswith("failed")


def _origin(row: Mapping[str, str]) -> str:
    return "" if row["distribution"] == _OURS else f"{row['distribution']} {row['version']}"


def _called(row: Mapping[str, str]) -> str:
    kind = f"{row['kind']} " if _is_there(row) else ""
    return f"{kind}{row['name']} of {row['distribution']} {row['version']}"
