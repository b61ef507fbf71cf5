"""The directory of a run: who writes it, and what is kept in it."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from charrnn_core.console.program import command
from charrnn_core.errors import ResumeError, RunDirectoryError, StorageError
from charrnn_core.files.atomic import (
    DISK,
    Disk,
    explained,
    is_locked,
    locked,
    make_directory,
    remove_temporaries,
    user_path,
    write_atomically,
)
from charrnn_core.files.regular import check_own_directory, read_own
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.single_file import keep_copies
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.naming import label, new_directory
from charrnn_core.runs.recovery import checkpoint_name, first_good, step_of

_LOCK_SECONDS = 0.2
"""How long a writer waits for the lock: readers that ask whether a run is live hold it a moment."""

CHECKPOINTS = "checkpoints"
"""What the directory of a run's checkpoints is called."""

_LONGEST_OWNER = 4096


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one training: ``config.toml``, ``metrics.jsonl`` and ``checkpoints/``."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", user_path(self.path))

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def incidents_file(self) -> Path:
        """Updates whose loss or gradient was not finite, one JSON object a line."""
        return self.path / "incidents.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def plugins(self) -> Path:
        """Copies of the plugins that were single files. Nothing runs them unless it is named."""
        return self.path / "plugins"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    @property
    def _owner(self) -> Path:
        return self.path / ".owner"

    @classmethod
    @contextlib.contextmanager
    def claim(
        cls, config: RunConfig, out: Path | None = None, registry: Registry | None = None
    ) -> Iterator["RunDirectory"]:
        """Make a new run directory, by default a numbered one under ``runs/``, and be its writer.

        It holds the configuration at once, so that a run which is killed can be begun again. If
        the block fails before there is a checkpoint, what it has made is removed.

        Arguments:
            config: what is to be trained.
            out: the directory.
            registry: the plugins to use; by default those installed.

        Raises:
            RunDirectoryError: `out` holds a run already, is being written, or is no directory.
            StorageError: it cannot be written.
            UsageError: a component of the configuration does not fit.
        """
        out = None if out is None else user_path(out)
        with explained("create", out or "runs"):  # a name may be too long
            made = out is None or not out.exists()
            if out is not None and not made and not out.is_dir():
                raise RunDirectoryError(f"{out} is a file; choose another directory with --out")
        run = cls(new_directory(Path("runs"), label(config)) if out is None else out)
        try:
            with run.writing():
                if run.config_file.exists() or run.metrics_file.exists() or run.saved():
                    raise RunDirectoryError(
                        f"{run.path} holds a run already; choose another directory with --out, or "
                        f"go on with: {run.command('resume', run.path)}"
                    )
                try:
                    make_directory(run.checkpoints)
                    run.write_config(config.resolve(registry), registry)
                    yield run
                finally:  # under the lock: without it, another's run could be removed
                    run._leave(made)
        finally:
            if made:
                with contextlib.suppress(OSError):  # it is not empty
                    run.path.rmdir()
            if out is None:
                with contextlib.suppress(OSError):  # other runs are in it
                    run.path.parent.rmdir()

    def _leave(self, made: bool) -> None:
        """Remove what `claim` has made, unless something was learnt in it."""
        with contextlib.suppress(StorageError):
            if self.saved():
                return
        if made:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        shutil.rmtree(self.plugins, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.config_file.unlink(missing_ok=True)
            self.checkpoints.rmdir()

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Be the writer of a run that is there already.

        Raises:
            ResumeError: the path is a checkpoint file.
            RunDirectoryError: it is no run, or another process is writing it.
        """
        with explained("read", self.path):
            is_file = self.path.is_file()
        if is_file:
            raise ResumeError(
                f"{self.path} is a file, and resume takes the directory of a run; to begin a new "
                f"training with its parameters: {self.command('run', '--init-from', self.path)}"
            )
        if not self.checkpoints.is_dir() and not self.config_file.is_file():
            raise RunDirectoryError(f"{self.path} is no run directory; expected what 'run' wrote")
        with self.writing():
            if not self.saved() and not self.is_to_begin():
                raise RunDirectoryError(f"{self.path} has no checkpoint; {self.what_helps()}")
            yield

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer during the block; what killed writers left is removed.

        Raises:
            RunDirectoryError: another process is writing; it is named.
            StorageError: the directory cannot be written.
        """
        make_directory(self.path)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, timeout=_LOCK_SECONDS))
            except TimeoutError as error:
                raise RunDirectoryError(
                    f"{self.path} is being written by {self._writer()}; wait for it to end, or "
                    "choose another directory with --out"
                ) from error
            check_own_directory(self.plugins)
            check_own_directory(self.checkpoints)
            remove_temporaries(self.path)
            remove_temporaries(self.checkpoints)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            me = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
            write_atomically(self._owner, [json.dumps(me).encode()])
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # the lock decides; this only names us
                    self._owner.unlink()

    def is_live(self) -> bool:
        """Whether a process is writing this run now."""
        return is_locked(self._lock)

    def _writer(self) -> str:
        try:
            owner = json.loads(read_own(self._owner, _LONGEST_OWNER))
            return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
        except (OSError, StorageError, ValueError, KeyError, TypeError):  # it has only just started
            return "another process"

    def is_to_begin(self) -> bool:
        """Whether it was claimed, and ended before there was anything to go on from."""
        if not self.config_file.is_file() or self.saved():
            return False
        with explained("read", self.metrics_file):
            return not self.metrics_file.exists() or not self.metrics_file.stat().st_size

    def what_helps(self) -> str:
        """What to do with a run that nobody trains and that has no checkpoint."""
        if self.is_to_begin():
            begin = self.command("resume", self.path)
            return f"it ended before it had learnt anything; begin it with: {begin}"
        if self.config_file.is_file():
            anew = self.command("run", "--config", self.config_file)
            return f"those that it had are gone; train anew with: {anew}"
        return f"nothing was begun in it; train with: {self.command('run', '--out', self.path)}"

    def write_config(self, config: RunConfig, registry: Registry | None = None) -> None:
        """Save the resolved configuration as TOML, and copies of plugins that are single files."""
        import tomli_w

        registry = registry or Registry.installed()
        keep_copies(registry.files(config.records(registry)), self.plugins)
        write_atomically(self.config_file, [tomli_w.dumps(config.table()).encode()])

    def command(self, *words: object) -> str:
        """A command to paste, which names the single files among the plugins of this run.

        >>> RunDirectory(Path("my run")).command("resume", "my run").endswith("resume 'my run'")
        True
        """
        copies = [part for copy in sorted(self.plugins.glob("*.py")) for part in ("--plugin", copy)]
        return command(*words, *copies)

    def checkpoint_file(self, step: int) -> Path:
        """Where the checkpoint of an update goes."""
        return self.checkpoints / checkpoint_name(step)

    def saved(self) -> list[Path]:
        """The files named like checkpoints, oldest first.

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

    def remove_after(self, step: int, disk: Disk = DISK) -> None:
        """Remove the checkpoints of later updates, the newest first.

        Raises:
            StorageError: a file cannot be removed.
        """
        for path in reversed(self.saved()):
            if (step_of(path.name) or 0) > step:
                with explained("remove", path):
                    disk.unlink(path)

    def prune(self, keep_last: int, keep: Iterable[int] = (), disk: Disk = DISK) -> None:
        """Remove old checkpoints: all but the last `keep_last` and those of the steps `keep`.

        The last one is read back whole first; damaged ones after it do not count, and stay.

        Raises:
            CheckpointError: none can be read; all files stay.
            StorageError: a file cannot be removed.
        """
        saved, wanted = self.saved(), set(map(self.checkpoint_file, keep))
        if len(saved) <= keep_last or not (found := first_good(saved[::-1], lambda line: None)):
            return
        for path in saved[: saved.index(found[0]) + 1][:-keep_last]:
            if path not in wanted:
                with explained("remove", path), contextlib.suppress(FileNotFoundError):
                    disk.unlink(path)
