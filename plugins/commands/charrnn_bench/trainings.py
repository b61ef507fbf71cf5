"""The trainings of a benchmark, each a ``charrnn run`` in its own process."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from charrnn_bench.plan import Plan, label
from charrnn_core.errors import CheckpointError, RunDirectoryError, StorageError
from charrnn_core.files.atomic import explained, write_atomically
from charrnn_core.files.regular import own, read_own
from charrnn_core.registry.single_file import environment_for_children
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.terminal import to_stderr

_SECONDS_BETWEEN_CHECKS = 0.2
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_DONE = ("finished", "stopped early")
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@dataclass(frozen=True)
class Training:
    """One training of a benchmark.

    Arguments:
        cell, seed: what is trained.
        directory: its run directory; the record of its processes lies beside it.

    >>> Training("elman:8", 1, Path("runs/b/trainings/1-elman-8-seed-1")).title
    'elman:8, seed 1'
    """

    cell: str
    seed: int
    directory: Path

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.cell}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """The output of its processes."""
        return self.directory.with_name(f"{self.directory.name}.log")

    @property
    def _record(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.json")

    def record(self) -> dict[str, Any]:
        """Read the record of its processes: ``peak_bytes``, ``exit_code`` and ``error``."""
        with explained("read", self._record), contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads(read_own(self._record))
        return {}

    def status(self) -> str | None:
        """Return the status in its newest checkpoint; None if there is no good one."""
        try:
            path, checkpoint = open_checkpoint(self.directory, note=lambda line: None)
            return read_manifest(path, checkpoint.table, RESUMING)["loop"].get("status")
        except (RunDirectoryError, CheckpointError):
            return None

    def is_done(self) -> bool:
        """Return whether it ran to the end of its budget without errors."""
        return self.status() in _DONE and self.record().get("error") is None

    def begin(self, settings: Path, resumable: bool, from_first_update: bool = False) -> list[str]:
        """Prepare the directory for a process; return the arguments of its command.

        An interrupted training is resumed, unless its budget is a time: the share of it that has
        passed would not be comparable with that of a training without an interruption.

        Arguments:
            settings: the TOML file of the settings that all trainings share.
            resumable: whether to resume an interrupted training.
            from_first_update: whether a time budget begins with the first update.

        Raises:
            RunDirectoryError: another process is training in the directory.
            StorageError: the files of an earlier attempt cannot be removed.
        """
        if RunDirectory(self.directory).is_live():
            raise RunDirectoryError(
                f"{self.directory} is in use by another process, perhaps left behind by a "
                "benchmark that was killed; wait until it has ended, or kill it"
            )
        if resumable and self.status() in ("running", "interrupted"):
            return ["resume", str(self.directory)]
        with explained("remove", self.directory):
            for file in (self.log, self._record):
                file.unlink(missing_ok=True)
            if self.directory.exists():
                shutil.rmtree(self.directory)
        arguments = ["run", "--config", str(settings), "--cell", self.cell]
        arguments += ["--seed", str(self.seed), "--quiet", "--out", str(self.directory)]
        if from_first_update:
            arguments.append("--from-first-update")
        return arguments

    def ended(self, code: int, peak_bytes: int, interrupted: bool) -> str | None:
        """Record a process that has ended; return what went wrong, or None.

        The recorded peak is the highest of all processes of this training.
        """
        error = None
        if not interrupted and not (code == 0 and self.status() in _DONE):
            error = self._why(code)
        peak = max(peak_bytes, self.record().get("peak_bytes") or 0)
        table = {"exit_code": code, "peak_bytes": peak, "error": error}
        write_atomically(self._record, [json.dumps(table).encode()])
        return error

    def _why(self, code: int) -> str:
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        lines = read_own(self.log).decode("utf-8", errors="replace").split("\n")
        errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        last = [line.strip() for line in lines if line.strip()]
        return (errors or last or [f"exit code {code}"])[-1]


def all_trainings(plan: Plan, directory: Path) -> list[Training]:
    """Return every training of a plan, seed by seed, so that an early end covers all cells.

    >>> plan = Plan(("elman:8", "gru"), 2, RunConfig(minutes=1))
    >>> [training.directory.name for training in all_trainings(plan, Path("runs/b"))][1:3]
    ['2-gru-seed-0', '1-elman-8-seed-1']
    """
    return [
        Training(cell, seed, directory / f"{number}-{label(cell)}-seed-{seed}")
        for seed in range(plan.seeds)
        for number, cell in enumerate(plan.cells, 1)
    ]


class Interruption:
    """A ``with`` block that catches SIGINT, SIGTERM and SIGHUP.

    They are forwarded to the current training, which saves its progress and stops; a second one
    kills it. A signal that is ignored, as under ``nohup``, stays ignored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._unsent: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._notice)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self._unsent.append(number)

    def pass_on(self, process: "subprocess.Popen[bytes]") -> None:
        """Send a process the signals that have arrived since the last call."""
        while self._unsent:
            process.send_signal(self._unsent.pop(0))
            to_stderr("stopping once the training has saved; press Ctrl-C again to stop it now")


def train(
    training: Training,
    settings: Path,
    resumable: bool,
    interruption: Interruption,
    tick: Callable[[], None],
    from_first_update: bool = False,
) -> str | None:
    """Run a training in its own process until it ends.

    Arguments:
        training: the training.
        settings, resumable, from_first_update: as for `Training.begin`.
        interruption: the signals to forward to the process.
        tick: called several times a second.

    Returns:
        What went wrong, on one line; None if it ended well, or was interrupted.

    Raises:
        RunDirectoryError, StorageError: as for `Training.begin`.
    """
    arguments = training.begin(settings, resumable, from_first_update)
    with _started(arguments, training.log) as process:
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            interruption.pass_on(process)
            tick()
            time.sleep(_SECONDS_BETWEEN_CHECKS)
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * _RSS_UNIT
    return training.ended(process.returncode, peak, interruption.signal is not None)


@contextlib.contextmanager
def _started(arguments: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a charrnn command as a process, which does not outlive the block."""
    with explained("write", log), open(log, "ab", opener=own) as output:
        # In its own group Ctrl-C does not reach it: with the forwarded signal it would get two,
        # and quit without saving.
        process = subprocess.Popen(
            [sys.executable, "-m", "charrnn_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            env=environment_for_children(os.environ),
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def share_done(training: Training, config: RunConfig, seconds: float) -> float:
    """Return how much of its budget a training has used, 0 to 1, as far as its files show.

    Arguments:
        training: the training.
        config: the configuration it was started with.
        seconds: the time since then.
    """
    if config.minutes is not None:
        return min(1.0, seconds / (60 * config.minutes))
    try:
        last = json.loads(read_own(RunDirectory(training.directory).metrics_file).splitlines()[-1])
    except (OSError, StorageError, ValueError, IndexError):  # no row yet, or it is being written
        return 0.0
    used = [
        last[key] / most
        for key, most in (("characters", config.characters), ("epoch", config.epochs))
        if most is not None
    ]
    return min(1.0, max(used, default=0.0))
