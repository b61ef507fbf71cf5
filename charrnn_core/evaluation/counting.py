"""Counting the baselines of a text in the background, and keeping what was counted.

The result is a function of the texts, so it is kept in the cache directory: a second run on the
same text counts nothing.
"""

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from charrnn_core.errors import CorpusError, StorageError
from charrnn_core.evaluation.baselines import MOST_CHARACTERS, Interrupted, baselines, work_of
from charrnn_core.evaluation.row import Row
from charrnn_core.files.atomic import cache_directory, make_directory, write_atomically
from charrnn_core.files.regular import read_own
from charrnn_core.files.typed import check
from charrnn_core.text.alphabet import Alphabet, Ids
from charrnn_core.text.split import Piece, count_characters

_VERSION = 2
"""Raise it when a baseline changes, so that what was kept of before is not used."""

_LEAST_TO_KEEP = 1 << 16
"""Fewest characters of a text whose baselines are kept; counting fewer takes no time."""

_SECONDS_PER_WORK = 6e-7
"""The time that a unit of work takes, until some has been done."""

_SECONDS_BETWEEN_CHECKS = 0.1

Counted = tuple[tuple[Row, ...], tuple[str, ...]]
"""The rows of baselines, and remarks on those that are missing."""


def seconds_to_count(
    training: Ids,
    pieces: Sequence[Piece],
    seconds_per_work: float = _SECONDS_PER_WORK,
    done: float = 0.0,
) -> float:
    """Estimate how long counting the baselines of a text takes, or the rest of it.

    >>> import numpy as np
    >>> seconds_to_count(np.zeros(MOST_CHARACTERS, int), [Piece(0, np.zeros(1, int))])
    0.0
    """
    if len(training) + count_characters(pieces) > MOST_CHARACTERS:
        return 0.0
    return seconds_per_work * max(0.0, work_of(training, pieces) - done)


class Counting:
    """Counts baselines in a thread, which does not keep the process alive.

    The thread takes only what time of the cores nothing else wants, until somebody waits for it.
    Where a thread cannot have a priority of its own, it can at least pause. A baseline that fails
    is missing from the rows, and a remark says why; where `baselines` raises, all are missing.

    Arguments:
        training: the ids of the training text.
        pieces: the held-out text.
        alphabet: the symbols.

    >>> import numpy as np
    >>> Counting(np.zeros(0, int), [], Alphabet("ab")).wait()
    ((), ('no baselines: 0 characters to count, 0 to score',))
    """

    def __init__(self, training: Ids, pieces: Sequence[Piece], alphabet: Alphabet) -> None:
        self._text = training, pieces, alphabet
        self._rows: tuple[Row, ...] = ()
        self._remarks: list[str] = []
        self._stop, self._done, self._may_go_on = (threading.Event() for _ in range(3))
        self._may_go_on.set()
        self._is_modest = False
        self._done_work, self._work, self._busy, self._began = 0.0, 0.0, 0.0, 0.0
        try:
            # No thread pool: Python waits for its threads at exit.
            self._thread = threading.Thread(target=self._count, daemon=True)
            self._thread.start()
        except RuntimeError as error:  # the system refuses another thread
            self._failed("baselines", error)
            self._done.set()

    def give_way(self) -> None:
        """Let something else have every core that it wants, until `wait`."""
        if not self._is_modest:
            self._may_go_on.clear()

    def cancel(self) -> None:
        """Stop for good."""
        self._stop.set()
        self._may_go_on.set()

    def wait(self, give_up: Callable[[], bool] = lambda: False) -> Counted:
        """Go on with a normal priority, and return the result.

        Arguments:
            give_up: called several times a second; True cancels the counting.
        """
        self._may_go_on.set()
        if self._is_modest and not self._done.is_set():
            _set_modest(self._thread, False)
        while not self._done.wait(_SECONDS_BETWEEN_CHECKS):
            if give_up():
                self.cancel()
                return (), ("no baselines: counting was interrupted",)
        return self._rows, tuple(self._remarks)

    @property
    def seconds_left(self) -> float:
        """An estimate of how long the rest of the counting takes if nothing else is done."""
        if self._done.is_set():
            return 0.0
        each = self._busy / self._done_work if self._done_work else _SECONDS_PER_WORK
        return seconds_to_count(*self._text[:2], each, self._done_work)

    def _count(self) -> None:
        self._is_modest = _set_modest(self._thread, True)
        try:
            training, pieces, alphabet = self._text
            length, file = len(training) + count_characters(pieces), None
            if _LEAST_TO_KEEP <= length <= MOST_CHARACTERS:
                file = _file_of(training, pieces, alphabet)
                if (kept := _read(file)) is not None:
                    self._rows = kept
                    return
            self._began = time.thread_time()
            self._rows = baselines(
                training,
                pieces,
                alphabet,
                check_interrupt=self._check_interrupt,
                failed=self._failed,
            )
            if file is not None and not self._remarks:
                _write(file, self._rows)
        except Interrupted:
            pass  # a caller that gives up wants neither rows nor remarks
        except CorpusError as error:
            self._remarks.append(str(error))
        except Exception as error:
            self._failed("baselines", error)
        finally:
            self._done.set()

    def _check_interrupt(self, work: float) -> None:
        now = time.thread_time()
        self._busy, self._done_work = self._busy + now - self._began, self._done_work + self._work
        self._may_go_on.wait()
        if self._stop.is_set():
            raise Interrupted
        self._began = time.thread_time()
        self._work = work

    def _failed(self, what: str, error: Exception) -> None:
        shown = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._remarks.append(f"no {what}: counting failed with {shown}")


def _set_modest(thread: threading.Thread, modest: bool) -> bool:
    """Let all other threads go first, or no longer; return whether that is possible here."""
    if sys.platform != "linux" or thread.native_id is None:  # elsewhere only processes have one
        return False
    policy = os.SCHED_IDLE if modest else os.SCHED_OTHER
    try:
        os.sched_setscheduler(thread.native_id, policy, os.sched_param(0))
    except OSError:
        return False
    return True


class _KeptRow(TypedDict):
    name: str
    nats_per_char: float


def _file_of(training: Ids, pieces: Sequence[Piece], alphabet: Alphabet) -> Path:
    """Return where the baselines of these texts are kept."""
    lengths = [len(training), *(len(piece.ids) for piece in pieces)]
    before = [int(piece.before) for piece in pieces]
    about = [_VERSION, alphabet.kind, alphabet.table(), lengths, before]
    digest = hashlib.sha256(json.dumps(about).encode())
    for ids in (training, *(piece.ids for piece in pieces)):
        digest.update(ids.astype("<u4").tobytes())
    return cache_directory() / "baselines" / f"{digest.hexdigest()[:32]}.json"


def _read(file: Path) -> tuple[Row, ...] | None:
    """Return the rows that are kept in a file; None if there are none, or it is damaged."""
    with contextlib.suppress(OSError, StorageError, ValueError, RecursionError):
        rows = json.loads(read_own(file))
        check(rows, list[_KeptRow])
        return tuple(Row(name=row["name"], nats_per_char=row["nats_per_char"]) for row in rows)
    return None


def _write(file: Path, rows: Sequence[Row]) -> None:
    """Keep rows in a file; where it cannot be written, they are counted again next time."""
    table = [{"name": row.name, "nats_per_char": row.nats_per_char} for row in rows]
    with contextlib.suppress(OSError, StorageError):
        make_directory(file.parent)
        write_atomically(file, [json.dumps(table).encode()])
