"""The metrics log: one JSON object per line."""

import json
import math
import os
from pathlib import Path
from typing import Any, TextIO

from charrnn_core.errors import CheckpointError, shown
from charrnn_core.events import Ended, Started, Stepped
from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import cut_own, own


class JSONLObserver:
    """An observer that writes ``metrics.jsonl`` into the run directory.

    Rows have ``step``, ``epoch``, ``characters``, ``train_nats_per_char``,
    ``held_out_nats_per_char`` if it was measured at that step, and what depends on the clock:
    ``characters_per_second``, and the seconds that the run has spent so far on each thing,
    ``start_up_seconds`` to ``other_seconds`` (see `charrnn_core.events.TimeSpent`). A checkpoint
    stores the length of the log, so that a resumed run neither repeats nor lacks a row.
    """

    def __init__(self, options: object) -> None:
        del options  # there are none
        self._file: TextIO | None = None
        self._length: int | None = None

    def state(self) -> dict[str, int]:
        """Flush the log to the storage medium; return its length."""
        assert self._file is not None
        with explained("write", self._file.name):
            self._file.flush()
            os.fsync(self._file.fileno())
            return {"bytes": self._file.tell()}

    def restore(self, state: Any) -> None:
        """Drop the rows that were written after the checkpoint.

        Raises:
            CheckpointError: `state` did not return this state.
        """
        length = state.get("bytes") if isinstance(state, dict) else None
        if type(length) is not int or length < 0:
            raise CheckpointError(
                f"the checkpoint's length of metrics.jsonl is {shown(state)}; expected a number of "
                "bytes: use another checkpoint"
            )
        self._length = length
        if self._file is not None:
            self._open(self._file.name)

    def on_start(self, event: Started) -> None:
        self._open(event.directory / "metrics.jsonl")

    def _open(self, path: str | Path) -> None:
        if self._file is not None:
            self._file.close()
        with explained("write", path):
            if self._length is not None:
                cut_own(Path(path), self._length)
            self._file = open(path, "a", encoding="utf-8", opener=own)

    def on_step(self, event: Stepped) -> None:
        assert self._file is not None
        row = {
            "step": event.step,
            "epoch": round(event.epoch, 6),
            "characters": event.characters,
            "train_nats_per_char": event.train_nats_per_char,
            "held_out_nats_per_char": event.held_out_nats_per_char,
            "characters_per_second": round(event.characters_per_second, 1),
            **event.spent.table(),
        }
        # JSON has no NaN: a loss that is not finite is omitted like one that was not measured.
        known = {key: x for key, x in row.items() if x is not None and math.isfinite(x)}
        with explained("write", self._file.name):
            self._file.write(json.dumps(known) + "\n")
            self._file.flush()

    def on_end(self, event: Ended) -> None:
        if self._file is not None:
            self._file.close()
