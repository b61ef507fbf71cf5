"""A diary of what the model wrote while it learnt."""

import os
from pathlib import Path
from typing import Any

from charrnn_core.events import Evaluated, Sampled, Started


class Diary:
    """Writes every sample into a Markdown file of the run directory, under the loss of its time.

    A checkpoint remembers how long the file was, so that a run that goes on from it neither repeats
    nor lacks an entry.

    Arguments:
        options: ``name``, the file's.
    """

    def __init__(self, options: Any) -> None:
        self._name = options.name
        self._path: Path | None = None
        self._bytes: int | None = None
        self._loss = "no held-out loss yet"

    def on_start(self, event: Started) -> None:
        self._path = event.directory / self._name
        self._cut()

    def on_eval(self, event: Evaluated) -> None:
        self._loss = f"{event.nats_per_char:.3f} nats per character"

    def on_sample(self, event: Sampled) -> None:
        quoted = "\n".join(f"    {line}" for line in (event.prompt + event.text).splitlines())
        self._write(f"## Update {event.step}, {self._loss}\n\n{quoted}\n\n")

    def state(self) -> dict[str, Any]:
        """How long the file is, and what to say of the next sample."""
        there = self._path is not None and self._path.exists()
        return {"bytes": os.path.getsize(self._path) if there else 0, "loss": self._loss}

    def restore(self, state: dict[str, Any]) -> None:
        """Forget what was written after a checkpoint."""
        self._bytes, self._loss = state["bytes"], state["loss"]
        self._cut()

    def _cut(self) -> None:
        if self._path is not None and self._bytes is not None and self._path.exists():
            os.truncate(self._path, min(self._bytes, os.path.getsize(self._path)))

    def _write(self, text: str) -> None:
        assert self._path is not None
        with open(self._path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
