"""The log of incidents: updates whose loss or gradient was not finite, one JSON object a line."""

import dataclasses
import json
import os
from pathlib import Path

from charrnn_core.events import Incident
from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import cut_own, own
from charrnn_core.files.typed import for_json


def append_incident(path: Path, incident: Incident) -> int:
    """Append an incident to the log; how many bytes the log has now.

    Raises:
        StorageError: it cannot be written.
    """
    row = dataclasses.asdict(incident)
    with explained("write", path), open(path, "a", encoding="utf-8", opener=own) as file:
        # NaN is not JSON: what is not finite is written as text.
        file.write(json.dumps(for_json(row), allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def cut_log(path: Path, length: int) -> None:
    """Cut off what was logged after a checkpoint was written.

    Raises:
        StorageError: the file cannot be changed.
    """
    with explained("write", path):
        cut_own(path, length)
