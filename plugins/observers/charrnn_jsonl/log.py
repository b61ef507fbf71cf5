"""A log with one JSON object per line, which can be cut back to what a checkpoint knows of."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import cut_own, own


class Log:
    """An open log.

    Arguments:
        path: the file, which need not exist.
        length: cut the file to so many bytes first; None leaves it as it is.

    Raises:
        StorageError: it cannot be written; so do the methods.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        with explained("write", path):
            if length is not None:
                cut_own(path, length)
            self._file = open(path, "a", encoding="utf-8", opener=own)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row, and hand it to the operating system."""
        with explained("write", self.path):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def flushed(self) -> int:
        """Flush the log to the storage medium, and return its length in bytes."""
        with explained("write", self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
