"""The log of incidents: updates whose loss or gradient was not finite, one JSON object a line."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from charrnn_core.events import Incident
from charrnn_core.storage import explained


def append_incident(path: Path, incident: Incident) -> int:
    """Append an incident to the log; how many bytes the log has now.

    Raises:
        StorageError: it cannot be written.
    """
    row = dataclasses.asdict(incident)
    with explained("write", path), open(path, "a", encoding="utf-8") as file:
        # NaN is not JSON: what is not finite is written as text.
        file.write(json.dumps(_finite(row), allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def cut_log(path: Path, length: int) -> None:
    """Cut off what was logged after a checkpoint was written.

    Raises:
        StorageError: the file cannot be changed.
    """
    with explained("write", path):
        if path.exists() and path.stat().st_size > length:
            os.truncate(path, length)
