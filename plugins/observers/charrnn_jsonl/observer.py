"""The metrics log and the samples, with one JSON object per line."""

from pathlib import Path
from typing import Any

from charrnn_core.errors import CheckpointError, shown
from charrnn_core.events import Ended, Sampled, Started, Stepped
from charrnn_jsonl.log import Log

_FILES = {"bytes": "metrics.jsonl", "samples": "samples.jsonl"}
"""The logs, each by the key that its length has in a checkpoint."""


class JSONLObserver:
    """An observer that writes ``metrics.jsonl`` and ``samples.jsonl`` into the run directory.

    Rows of the first have ``step``, ``epoch``, ``characters``, ``train_nats_per_char``,
    ``held_out_nats_per_char`` and ``held_out_interval`` if it was measured at that step, and what
    depends on the clock: ``characters_per_second``, and the seconds that the run has spent so far
    on each thing, ``start_up_seconds`` to ``other_seconds`` (see
    `charrnn_core.events.TimeSpent`). Rows of the second have ``step``, ``epoch``, ``prompt`` and
    ``text``. A checkpoint stores the length of both, so that a resumed run neither repeats nor
    lacks a row.
    """

    def __init__(self, options: object) -> None:
        del options  # there are none
        self._logs: dict[str, Log] = {}
        self._lengths: dict[str, int] = {}

    def state(self) -> dict[str, int]:
        """Flush the logs to the storage medium; return their lengths."""
        return {key: log.flushed() for key, log in self._logs.items()}

    def restore(self, state: Any) -> None:
        """Drop the rows that were written after the checkpoint.

        Raises:
            CheckpointError: `state` did not return this state.
        """
        table = state if isinstance(state, dict) else {}
        # A run of before samples were logged has none.
        lengths = {"bytes": table.get("bytes"), "samples": table.get("samples", 0)}
        for key, length in lengths.items():
            if type(length) is not int or length < 0:
                raise CheckpointError(
                    f"the checkpoint's length of {_FILES[key]} is {shown(length)}; expected a "
                    "number of bytes: use another checkpoint"
                )
            self._lengths[key] = length
        if self._logs:
            self._open(self._logs["bytes"].path.parent)

    def on_start(self, event: Started) -> None:
        self._open(event.directory)

    def _open(self, directory: Path) -> None:
        self._close()
        try:
            for key, name in _FILES.items():
                self._logs[key] = Log(directory / name, self._lengths.get(key))
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        while self._logs:
            self._logs.popitem()[1].close()

    def on_step(self, event: Stepped) -> None:
        self._logs["bytes"].add(event.table())

    def on_sample(self, event: Sampled) -> None:
        row = {"step": event.step, "epoch": round(event.epoch, 6)}
        self._logs["samples"].add({**row, "prompt": event.prompt, "text": event.text})

    def on_end(self, event: Ended) -> None:
        self._close()
