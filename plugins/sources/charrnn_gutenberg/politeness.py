"""Rate limits that respect Project Gutenberg's terms, shared by all processes of a user."""

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn_core.errors import SourceError, StorageError
from charrnn_core.files.atomic import locked, write_atomically
from charrnn_core.files.regular import read_own

SECONDS_BETWEEN_REQUESTS = 2.0
BOOKS_A_DAY = 100


class Pace:
    """A rate limit on requests and a daily limit on books, in a file that processes share.

    Arguments:
        directory: where the file is kept; it has to exist.
        clock, sleep: the time since 1970 in seconds, and a function that waits.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = directory / "politeness.json"
        self._lock = directory / "politeness.lock"
        self._clock = clock
        self._sleep = sleep

    def count_book(self, number: int) -> None:
        """Count a book that will be requested.

        Raises:
            SourceError: the daily limit is reached.
        """
        with locked(self._lock):
            state = self._read()
            books = state["books"]
            if books >= BOOKS_A_DAY:
                raise SourceError(
                    f"gutenberg:{number} would exceed the {BOOKS_A_DAY} books a day (UTC) that "
                    "Project Gutenberg allows; wait until tomorrow, or mirror it with "
                    "rsync (https://www.gutenberg.org/help/mirroring.html) and set "
                    "CHARRNN_GUTENBERG_MIRROR to the directory"
                )
            self._write({**state, "books": books + 1})

    def uncount_book(self) -> None:
        """Undo a `count_book` whose book was never requested."""
        with locked(self._lock):
            state = self._read()
            self._write({**state, "books": max(state["books"] - 1, 0)})

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        # The lock is held while waiting, so that the next process waits its turn after this one.
        with locked(self._lock):
            state = self._read()
            due = state["last"] + SECONDS_BETWEEN_REQUESTS
            # If the clock was set back, the wait must not take hours.
            wait = min(due - self._clock(), SECONDS_BETWEEN_REQUESTS)
            if wait > 0:
                self._sleep(wait)
            self._write({**state, "last": self._clock()})

    def _read(self) -> dict[str, Any]:
        """Read the time of the last request, today's date, and the number of books today."""
        today = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).date().isoformat()
        try:
            state = json.loads(read_own(self._file))
            books = int(state["books"]) if state["day"] == today else 0
            return {"last": float(state["last"]), "day": today, "books": books}
        except (OSError, StorageError, ArithmeticError, ValueError, TypeError, KeyError):
            # The file is missing, or damaged.
            return {"last": 0.0, "day": today, "books": 0}

    def _write(self, state: dict[str, Any]) -> None:
        write_atomically(self._file, [json.dumps(state).encode()])
