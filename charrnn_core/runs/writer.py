"""Writing to the directory of a run: one process at a time, and which files to keep."""

import contextlib
import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charrnn_core.errors import ResumeError, RunDirectoryError, StorageError
from charrnn_core.files.atomic import (
    DISK,
    Disk,
    explained,
    locked,
    make_directory,
    remove_temporaries,
    user_path,
    write_atomically,
)
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.files.regular import check_own_directory, own
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.single_file import keep_copies
from charrnn_core.runs.checkpoint_names import step_of
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.directory import FOLDER, RunDirectory
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.naming import label, new_directory
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.recovery import first_good
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.terminal import to_stderr

_MOST_SHARDS = 1024
_LOCK_SECONDS = 0.2
"""How long a writer waits for the lock: readers hold it briefly to see whether a run is live."""


@dataclass(frozen=True)
class RunWriter(RunDirectory):
    """A run directory that this process, and no other, may write to.

    Arguments:
        config: the resolved configuration of a run that `claim` has created; else None.
        newest: the newest good checkpoint of a run that `resuming` has opened, with its path; None
            if nothing has been trained in it yet.
    """

    config: RunConfig | None = dataclasses.field(default=None, compare=False, repr=False)
    newest: tuple[Path, Checkpoint] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )

    @classmethod
    @contextlib.contextmanager
    def claim(
        cls, config: RunConfig, out: Path | None = None, registry: Registry | None = None
    ) -> Iterator["RunWriter"]:
        """Create a run directory and lock it for writing.

        The configuration is resolved and saved at once, so that a run that is killed can be
        started again. If the block fails before there is a checkpoint, everything created here is
        removed.

        Arguments:
            config: the run to train.
            out: the directory; by default a new numbered one under ``runs/``.
            registry: the plugins to use; by default those installed.

        Raises:
            RunDirectoryError: `out` already holds a run, is being written, or is a file.
            StorageError: it cannot be written.
            UsageError: a component of the configuration cannot be resolved.
        """
        registry = registry or Registry.installed()
        config = config.resolve(registry)  # report a wrong name before anything is created
        out = None if out is None else user_path(out)
        with explained("create", out or FOLDER):  # a name may be too long
            is_new = out is None or not out.exists()
            if out is not None and not is_new and not out.is_dir():
                raise RunDirectoryError(f"{out} is a file; choose another directory (out)")
        run = cls(new_directory(FOLDER, label(config)) if out is None else out)
        try:
            with run.writing():
                run._check_unused()
                try:
                    make_directory(run.checkpoints)
                    run.write_config(config, registry)
                    write_atomically(run.asked_file, [_toml(config)])
                    yield dataclasses.replace(run, config=config)
                finally:  # under the lock, or it could remove another process's run
                    run._remove_if_empty(is_new)
        finally:
            if is_new:
                with contextlib.suppress(OSError):  # not empty
                    run.path.rmdir()
            if out is None:
                with contextlib.suppress(OSError):  # holds other runs
                    run.path.parent.rmdir()

    def _check_unused(self) -> None:
        """Refuse a directory that already holds a run."""
        if self.config_file.exists() or self.metrics_file.exists() or self.saved():
            raise RunDirectoryError(
                f"{self.path} already holds a run; choose another directory (out), or "
                f"resume it with: {self.command('resume', self.path)}"
            )

    def _remove_if_empty(self, is_new: bool) -> None:
        """Remove what `claim` has created, unless there is a checkpoint in it."""
        with contextlib.suppress(StorageError):
            if self.saved():
                return
        if is_new:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        shutil.rmtree(self.plugins, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.config_file.unlink(missing_ok=True)
            self.asked_file.unlink(missing_ok=True)
            self.checkpoints.rmdir()

    @classmethod
    @contextlib.contextmanager
    def resuming(cls, run: Path, note: Callable[[str], None] = to_stderr) -> Iterator["RunWriter"]:
        """Open an existing run, lock it for writing, and read its newest good checkpoint.

        Arguments:
            run: the run directory.
            note: takes a line for each damaged checkpoint that was skipped.

        Raises:
            ResumeError: the path is a checkpoint file.
            RunDirectoryError: it is not a run, or another process is writing it.
            CheckpointError: no checkpoint is good.
        """
        self = cls(run)
        with explained("read", self.path):
            is_file = self.path.is_file()
        if is_file:
            raise ResumeError(
                f"{self.path} is a file, but resume takes a run directory; to start a new training "
                f"from its parameters, use: {self.command('run', '--init-from', self.path)}"
            )
        if not self.is_run():
            raise RunDirectoryError(
                f"{self.path} is not a run directory; expected what 'charrnn run' wrote"
            )
        with self.writing():
            if self.is_to_begin():
                yield self
            elif not self.saved():
                raise RunDirectoryError(f"{self.path} has no checkpoint; {self.what_helps()}")
            else:
                path, checkpoint = open_checkpoint(self.path, note)
                read_manifest(path, checkpoint.table, RESUMING)
                yield dataclasses.replace(self, newest=(path, checkpoint))

    @property
    def shards(self) -> int:
        """How many devices the run is split over, which jax must know before it is imported."""
        if self.config is not None:
            return self.config.shards or 1
        if self.newest is None:
            config = read_toml(self.config_file, own)
        else:
            config = self.newest[1].table["config"]
        shards = config.get("shards")
        return shards if type(shards) is int and 1 <= shards <= _MOST_SHARDS else 1

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Lock the directory for writing during the block; remove leftovers of killed writers.

        Raises:
            RunDirectoryError: another process is writing; the message names it.
            StorageError: the directory cannot be written.
        """
        make_directory(self.path)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, timeout=_LOCK_SECONDS))
            except TimeoutError as error:
                raise RunDirectoryError(
                    f"{self.path} is being written by {self.writer()}; wait until it has finished, "
                    "or choose another directory (out)"
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
                with contextlib.suppress(OSError):  # only the lock matters; the file just names us
                    self._owner.unlink()

    def write_config(self, config: RunConfig, registry: Registry) -> None:
        """Save a resolved configuration as TOML, and copies of the single-file plugins it uses."""
        keep_copies(registry.files(config.records(registry)), self.plugins)
        write_atomically(self.config_file, [_toml(config)])

    def write_evaluation(self, table: Mapping[str, Any]) -> None:
        """Save the result of a training that has ended."""
        text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(self.evaluation_file, [text.encode(), b"\n"])

    def remove(self) -> list[str]:
        """Remove what charrnn has written to the directory, and the directory if that was all.

        Returns:
            The names of what is left in it.

        Raises:
            RunDirectoryError: another process is writing the run.
            StorageError: something cannot be removed.
        """
        with self.writing(), explained("remove", self.path):
            for folder in (self.checkpoints, self.plugins, self.observers):
                if folder.exists():
                    shutil.rmtree(folder)
            logs = (self.metrics_file, self.samples_file, self.incidents_file)
            settings = (self.asked_file, self.config_file)
            files = (*logs, self.evaluation_file, self.kept_file, *settings)
            for file in (*files, self._owner, self._lock):
                file.unlink(missing_ok=True)
            if left := sorted(os.listdir(self.path)):
                return left
            self.path.resolve().rmdir()  # where this is the current directory, too
        return []

    def remove_after(self, step: int, disk: Disk = DISK) -> None:
        """Remove the checkpoints of later updates, newest first.

        Raises:
            StorageError: a file cannot be removed.
        """
        for path in reversed(self.saved()):
            if (step_of(path.name) or 0) > step:
                with explained("remove", path):
                    disk.unlink(path)

    def prune(self, keep_last: int, keep: Iterable[int] = (), disk: Disk = DISK) -> None:
        """Remove old checkpoints: all but the last `keep_last` and those of the updates `keep`.

        First the newest one is read back in full; damaged newer ones are not counted, and kept.

        Raises:
            CheckpointError: none can be read; all files are kept.
            StorageError: a file cannot be removed.
        """
        saved, wanted = self.saved(), set(map(self.checkpoint_file, keep))
        if len(saved) <= keep_last or not (found := first_good(saved[::-1], lambda line: None)):
            return
        for path in saved[: saved.index(found[0]) + 1][:-keep_last]:
            if path not in wanted:
                with explained("remove", path), contextlib.suppress(FileNotFoundError):
                    disk.unlink(path)


def _toml(config: RunConfig) -> bytes:
    import tomli_w

    return tomli_w.dumps(config.table()).encode()
