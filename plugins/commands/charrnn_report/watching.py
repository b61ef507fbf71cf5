"""Writing a report, and writing it again while its runs go on."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from charrnn_core.errors import StorageError
from charrnn_core.files.atomic import explained, write_atomically
from charrnn_core.files.regular import named
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import read_history
from charrnn_report.page import MARK, report_page

REFRESH = 5
"""Seconds between two looks of a browser at a report that is being written."""

_LOOK = 1.0
_BEGINNING = 64 * 1024


def write_report(runs: Sequence[Path], out: Path, refresh: int | None = None) -> None:
    """Write a page about runs.

    Arguments:
        runs: their directories.
        out: the page; only a report is ever replaced.
        refresh: see `report_page`.

    Raises:
        RunDirectoryError: one of them is not a run.
        StorageError: `out` is another file, or cannot be written.
    """
    text = report_page([read_history(run) for run in runs], refresh)
    _check_replaceable(out)
    write_atomically(out, [text.encode()])


def watch(runs: Sequence[Path], out: Path, look: float = _LOOK) -> None:
    """Write a page about runs whenever they have changed, until none is being trained.

    The page reads itself again meanwhile. At the end, also after Ctrl-C, it no longer does.
    """
    directories, before = [RunDirectory(run) for run in runs], None
    try:
        while any(directory.is_live() for directory in directories):
            if (now := [_changed(directory) for directory in directories]) != before:
                write_report(runs, out, REFRESH)
                before = now
            time.sleep(look)
    finally:
        write_report(runs, out)


def _changed(directory: RunDirectory) -> tuple[int, ...]:
    """Return what changes whenever there is something to tell."""
    found = []
    logs = (directory.metrics_file, directory.samples_file, directory.incidents_file)
    for file in (*logs, directory.evaluation_file, directory.checkpoints):
        with contextlib.suppress(OSError):
            found.append(file.stat().st_mtime_ns)
    return tuple(found)


def _check_replaceable(out: Path) -> None:
    """Refuse a file that is not a report."""
    with explained("read", out):
        if not out.exists():
            return
        with open(out, "rb", opener=named) as file:
            if MARK.encode() in file.read(_BEGINNING):
                return
    raise StorageError(
        f"{out} is there and is not a report of charrnn; choose another file with --out"
    )
