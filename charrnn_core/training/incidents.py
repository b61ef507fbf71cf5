"""The incident log: updates whose loss or gradient was not finite, one JSON object per line."""

import dataclasses
import json
import os
from pathlib import Path

from charrnn_core.events import Incident
from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import cut_own, own
from charrnn_core.files.typed import for_json


def append_incident(path: Path, incident: Incident) -> int:
    """Append an incident to the log, and return the log's new length in bytes.

    Raises:
        StorageError: it cannot be written.
    """
    row = dataclasses.asdict(incident)
    with explained("write", path), open(path, "a", encoding="utf-8", opener=own) as file:
        # JSON has no NaN or infinity: they are written as text.
        file.write(json.dumps(for_json(row), allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def cut_log(path: Path, length: int) -> None:
    """Truncate the log to its length at the time of a checkpoint.

    Raises:
        StorageError: the file cannot be changed.
    """
    with explained("write", path):
        cut_own(path, length)
