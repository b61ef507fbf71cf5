"""One training of many: its directory, and the record of its processes beside it."""

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core.errors import CheckpointError, RunDirectoryError, StorageError
from charrnn_core.files.atomic import explained, locked, write_atomically
from charrnn_core.files.regular import read_own
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.opening import open_checkpoint

_DONE = ("finished", "stopped early")
_PATIENCE_SECONDS = 30.0
"""How long to wait for a process that was left behind: it saves and stops by itself."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of many, which may be anywhere between not begun and done.

    Arguments:
        title: its name in messages.
        directory: its run directory; the record of its processes lies beside it.
        options: the options of ``charrnn run``.
        resumable: whether to resume it after an interruption, and after its process was killed. If
            its budget is a time, the share of it that has passed would not be comparable with that
            of a training without an interruption, so it begins anew.
    """

    title: str
    directory: Path
    options: tuple[str, ...] = ()
    resumable: bool = True

    @property
    def log(self) -> Path:
        """The output of its processes."""
        return self._beside("log")

    @property
    def _record(self) -> Path:
        return self._beside("json")

    def _beside(self, suffix: str) -> Path:
        return self.directory.with_name(f"{self.directory.name}.{suffix}")

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

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep others from it during the block; wait a while for one who is about to leave it.

        Raises:
            RunDirectoryError: another process is at work on it.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._beside("lock"), timeout=_PATIENCE_SECONDS))
            except TimeoutError as error:
                raise self._busy() from error
            yield

    def begin(self) -> list[str]:
        """Prepare the directory for a process; return the arguments of its command.

        Raises:
            RunDirectoryError: another process is training in the directory.
            StorageError: the files of an earlier attempt cannot be removed.
        """
        self._wait_for_who_was_left()
        if self.resumable and self.status() in ("running", "interrupted"):
            return ["resume", str(self.directory)]
        with explained("remove", self.directory):
            for file in (self.log, self._record):
                file.unlink(missing_ok=True)
            if self.directory.exists():
                shutil.rmtree(self.directory)
        return ["run", *self.options, "--quiet", "--out", str(self.directory)]

    def _wait_for_who_was_left(self) -> None:
        """Wait until the process of a worker that was killed has saved and ended."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while RunDirectory(self.directory).is_live():
            if time.monotonic() > until:
                raise self._busy()
            time.sleep(0.1)

    def _busy(self) -> RunDirectoryError:
        return RunDirectoryError(
            f"{self.title} is being trained by another process ({self.directory}); wait until it "
            "has ended, or kill it"
        )

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

    def share_done(self, config: RunConfig, seconds: float) -> float:
        """Return how much of its budget it has used, 0 to 1, as far as its files show.

        Arguments:
            config: the configuration it was started with.
            seconds: the time since then.
        """
        if config.minutes is not None:
            return min(1.0, seconds / (60 * config.minutes))
        try:
            file = RunDirectory(self.directory).metrics_file
            last = json.loads(read_own(file).splitlines()[-1])
        except (OSError, StorageError, ValueError, IndexError):  # no row yet, or half of one
            return 0.0
        used = [
            last[key] / most
            for key, most in (("characters", config.characters), ("epoch", config.epochs))
            if most is not None
        ]
        return min(1.0, max(used, default=0.0))
