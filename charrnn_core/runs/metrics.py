"""Reading the logs of a run."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.errors import StorageError
from charrnn_core.files.regular import own
from charrnn_core.runs.course import Course

_MOST_BYTES = 1 << 26


def read_course(file: Path | None, table: Mapping[str, Any], symbols: int) -> Course:
    """Return the losses of a training up to a checkpoint, as far as its metrics log has them.

    Only advice depends on the log, so lines that cannot be read are ignored.

    Arguments:
        file: the log, which need not exist; None for no log.
        table: the checkpoint's table.
        symbols: V, the size of the alphabet.
    """
    course, step = Course(symbols=symbols), table.get("step")
    loop = table.get("loop")
    if isinstance(loop, Mapping):
        course.best, course.best_step = loop.get("best"), loop.get("best_step")
        course.last = loop.get("held_out")
        course.ended = loop.get("status") in ("finished", "stopped early")
    for row in read_rows(file) if file else ():
        with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, OverflowError):
            course.add(row)
    course.forget_after(step if isinstance(step, int) else 0)
    return course


def rows_up_to(file: Path, step: int) -> tuple[Mapping[str, Any], ...]:
    """Return the rows of a log up to an update."""
    return tuple(row for row in read_rows(file) if row.get("step", step) <= step)


def read_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a log, which need not exist; lines that cannot be read are ignored."""
    for line in _read(file).splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _read(file: Path) -> bytes:
    """Return the first bytes of a regular file; none if it cannot be read."""
    with contextlib.suppress(OSError, StorageError), open(file, "rb", opener=own) as opened:
        return opened.read(_MOST_BYTES)
    return b""
