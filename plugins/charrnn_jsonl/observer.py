"""The metrics log: one JSON object a line."""

import json
from typing import TextIO

from charrnn_core.events import Ended, Started, Stepped
from charrnn_core.storage import explained


class JSONLObserver:
    """Writes ``metrics.jsonl`` into the run directory.

    Rows have ``step``, ``epoch``, ``characters``, ``train_nats_per_char``,
    ``held_out_nats_per_char`` where it was measured at that step, and ``characters_per_second``.
    """

    def __init__(self, options: object) -> None:
        del options  # it has none
        self._file: TextIO | None = None

    def on_start(self, event: Started) -> None:
        path = event.directory / "metrics.jsonl"
        with explained("write", path):
            self._file = open(path, "a", encoding="utf-8")

    def on_step(self, event: Stepped) -> None:
        assert self._file is not None
        row = {
            "step": event.step,
            "epoch": round(event.epoch, 6),
            "characters": event.characters,
            "train_nats_per_char": event.train_nats_per_char,
            "held_out_nats_per_char": event.held_out_nats_per_char,
            "characters_per_second": round(event.characters_per_second, 1),
        }
        known = {key: value for key, value in row.items() if value is not None}
        with explained("write", self._file.name):
            self._file.write(json.dumps(known) + "\n")
            self._file.flush()

    def on_end(self, event: Ended) -> None:
        if self._file is not None:
            self._file.close()
