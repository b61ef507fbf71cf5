"""The list of runs for a person: a line for each, fitted to the width of the terminal."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from charrnn_core.console.layout import heading
from charrnn_core.console.table import fitted
from charrnn_core.runs.overview import Overview
from charrnn_core.terminal import printable

_HEAD = ("run", "state", "bits", "cell", "text", "params", "chars", "time", "size", "written")
_WORDS = ("state", "cell", "text", "written")
_DISPENSABLE = ("size", "chars", "written", "params", "time", "text", "cell")
_THOUSAND = 1000


def lines(runs: Iterable[Overview], width: int | None) -> list[str]:
    """Return the lines of a table with a head.

    Arguments:
        runs: in the order to show them in.
        width: the width of the terminal; None leaves every column.
    """
    head, *rest = fitted([_HEAD, *map(_cells, runs)], width, _DISPENSABLE, _WORDS)[0]
    return [heading(head), *rest]


def as_plain_data(run: Overview) -> dict[str, Any]:
    """Return an overview for JSON."""
    written = datetime.fromtimestamp(run.changed).astimezone().isoformat(timespec="seconds")
    return {
        "run": str(run.path),
        "state": run.state,
        "bits_per_char": run.bits,
        "nats_per_char": run.nats,
        "cell": run.cell,
        "text": run.text,
        "parameters": run.parameters,
        "characters": run.characters,
        "seconds": run.seconds,
        "bytes": run.bytes,
        "written": written,
    }


def _cells(run: Overview) -> tuple[str, ...]:
    cells = (
        run.path.name,
        run.state,
        "" if run.bits is None else f"{run.bits:.3f}",
        run.cell or "",
        Path(run.text or "").name,  # of a file, which may lie deep down
        short(run.parameters),
        short(run.characters),
        duration(run.seconds),
        f"{short(run.bytes)}B",
        datetime.fromtimestamp(run.changed).strftime("%Y-%m-%d %H:%M"),
    )
    return tuple(printable(" ".join(cell.split())) for cell in cells)


def short(count: int | None) -> str:
    """Return a number with three digits and a suffix.

    >>> short(349_560), short(1_003_854), short(12), short(None)
    ('350k', '1.00M', '12', '')
    """
    if count is None:
        return ""
    number, suffixes = float(count), iter(("", "k", "M", "G", "T"))
    suffix = next(suffixes)
    while number >= _THOUSAND - 0.5 and suffix != "T":
        number, suffix = number / _THOUSAND, next(suffixes)
    digits = 0 if not suffix or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}{suffix}"


def duration(seconds: float | None) -> str:
    """Return a time in the largest unit that it fills.

    >>> duration(8.4), duration(252.7), duration(5400), duration(None)
    ('8 s', '4.2 min', '1.5 h', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
