"""The directory of a run: its layout, and everything that only reads it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from charrnn_core.console.program import command
from charrnn_core.errors import StorageError
from charrnn_core.files.atomic import explained, is_locked, user_path
from charrnn_core.files.regular import check_own_directory, read_own
from charrnn_core.files.typed import check
from charrnn_core.runs.checkpoint_names import checkpoint_name, step_of
from charrnn_core.runs.loop_state import Seconds, Step
from charrnn_core.text.kept import KEPT_NAME

CHECKPOINTS = "checkpoints"
"""The name of the directory that holds a run's checkpoints."""

FOLDER = Path("runs")
"""The folder that holds the runs whose directories nobody has named."""

_LONGEST_OWNER = 4096


class SavedEvaluation(TypedDict):
    """What readers need of ``evaluation.json``; it holds all of an `Evaluation` besides."""

    step: Step
    nats_per_char: float | None
    interval: list[float] | None
    start_up_seconds: Seconds
    model: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one training, as its readers see it.

    It holds ``config.toml``, the logs, ``evaluation.json`` and ``checkpoints/``;
    `charrnn_core.runs.writer` writes to it.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", user_path(self.path))

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def asked_file(self) -> Path:
        """The settings as they were asked for; `config_file` has what came of them."""
        return self.path / "asked.toml"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples_file(self) -> Path:
        """What the model wrote while it learnt, one JSON object per line."""
        return self.path / "samples.jsonl"

    @property
    def evaluation_file(self) -> Path:
        """The final held-out result of a training that has ended, as JSON."""
        return self.path / "evaluation.json"

    def evaluation(self, step: int) -> SavedEvaluation | None:
        """Return the contents of `evaluation_file`.

        None if there is none, or if it is from before the run was extended: it is written after the
        last checkpoint, and the process may have been killed in between.

        Arguments:
            step: the update that the checkpoint is from.

        Raises:
            StorageError: it cannot be read.
            ValueError: it does not hold what it should.
        """
        with explained("read", self.evaluation_file):
            if not self.evaluation_file.exists():
                return None
            table = json.loads(read_own(self.evaluation_file))
        check(table, SavedEvaluation, self.evaluation_file.name)
        return table if table["step"] == step else None

    @property
    def incidents_file(self) -> Path:
        """The log of updates whose loss or gradient was not finite, one JSON object per line."""
        return self.path / "incidents.jsonl"

    @property
    def kept_file(self) -> Path:
        """A copy of the text that was trained on, if nobody else keeps it."""
        return self.path / KEPT_NAME

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def plugins(self) -> Path:
        """Copies of the single-file plugins of the run; loaded only if a user names them."""
        return self.path / "plugins"

    @property
    def observers(self) -> Path:
        """What observers have written, each in a folder of its own; it goes when the run goes."""
        return self.path / "observers"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    @property
    def _owner(self) -> Path:
        return self.path / ".owner"

    def is_run(self) -> bool:
        """Return whether it is the directory of a run, perhaps of one that has hardly begun."""
        return self.config_file.is_file() or self.checkpoints.is_dir()

    def is_live(self) -> bool:
        """Return whether a process is writing this run now."""
        return is_locked(self._lock)

    def writer(self) -> str:
        """Describe the process that is writing the run."""
        try:
            owner = json.loads(read_own(self._owner, _LONGEST_OWNER))
            return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
        except (OSError, StorageError, ValueError, KeyError, TypeError):  # it has just started
            return "another process"

    def is_to_begin(self) -> bool:
        """Return whether it was claimed, but ended before there was anything to resume from."""
        if not self.config_file.is_file() or self.saved():
            return False
        with explained("read", self.metrics_file):
            return not self.metrics_file.exists() or not self.metrics_file.stat().st_size

    def what_helps(self) -> str:
        """Say what to do with a run that no process is training and that has no checkpoint."""
        if self.is_to_begin():
            command = self.command("resume", self.path)
            return f"it ended before its first checkpoint; start it again with: {command}"
        if self.config_file.is_file():
            command = self.command("run", "--config", self.config_file)
            return f"its checkpoints are missing; train it again with: {command}"
        command = self.command("run", "--out", self.path)
        return f"no training was started in it; start one with: {command}"

    def command(self, *words: object) -> str:
        """Return a command to paste, with options for the single-file plugins of this run.

        >>> RunDirectory(Path("my run")).command("resume", "my run").endswith("resume 'my run'")
        True
        """
        copies = [part for copy in sorted(self.plugins.glob("*.py")) for part in ("--plugin", copy)]
        return command(*words, *copies)

    def checkpoint_file(self, step: int) -> Path:
        """Return the path of the checkpoint after an update."""
        return self.checkpoints / checkpoint_name(step)

    def saved(self) -> list[Path]:
        """Return the files with the name of a checkpoint, oldest first.

        Raises:
            StorageError: their directory cannot be read, or is a link.
        """
        check_own_directory(self.checkpoints)
        with explained("read", self.checkpoints):
            try:
                names = os.listdir(self.checkpoints)
            except FileNotFoundError:
                return []
        steps = sorted(step for name in names if (step := step_of(name)) is not None)
        return [self.checkpoint_file(step) for step in steps]
