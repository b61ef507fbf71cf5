"""Who writes the directory of a run, and what becomes of the files in it."""

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
from charrnn_core.runs.config import RunConfig, read_toml
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.naming import label, new_directory
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.recovery import first_good, step_of
from charrnn_core.terminal import to_stderr

_MOST_SHARDS = 1024
_LOCK_SECONDS = 0.2
"""How long a writer waits for the lock: readers that ask whether a run is live hold it a moment."""


@dataclass(frozen=True)
class RunWriter(RunDirectory):
    """A run directory and the only process that may write it.

    Arguments:
        config: the resolved configuration of a run that `claim` has made; else None.
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
        """Create a run directory, by default a numbered one under ``runs/``, and be its writer.

        The configuration is resolved and saved at once, so that a run which is killed can be
        started again. If the block fails before there is a checkpoint, everything it has created
        is removed.

        Arguments:
            config: the run to train.
            out: the directory.
            registry: the plugins to use; by default those installed.

        Raises:
            RunDirectoryError: `out` holds a run already, is being written, or is a file.
            StorageError: it cannot be written.
            UsageError: a component of the configuration does not fit.
        """
        registry = registry or Registry.installed()
        config = config.resolve(registry)  # a wrong name is reported before anything is created
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
                    run.write_config(config, registry)
                    yield dataclasses.replace(run, config=config)
                finally:  # under the lock: without it, another's run could be removed
                    run._remove_if_empty(made)
        finally:
            if made:
                with contextlib.suppress(OSError):  # it is not empty
                    run.path.rmdir()
            if out is None:
                with contextlib.suppress(OSError):  # it holds other runs
                    run.path.parent.rmdir()

    def _remove_if_empty(self, made: bool) -> None:
        """Remove what `claim` has created, unless there is a checkpoint in it."""
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

    @classmethod
    @contextlib.contextmanager
    def resuming(cls, run: Path, note: Callable[[str], None] = to_stderr) -> Iterator["RunWriter"]:
        """Open an existing run and be its writer; its newest good checkpoint is read once, here.

        Arguments:
            note: takes a line for each damaged checkpoint that was passed over.

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
                f"{self.path} is a file, and resume takes a run directory; to start a new training "
                f"from its parameters: {self.command('run', '--init-from', self.path)}"
            )
        if not self.checkpoints.is_dir() and not self.config_file.is_file():
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
        """How many devices the run is cut for, so that jax can be told before it is imported."""
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
        """Be the only writer during the block; temporary files of killed writers are removed.

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
                    f"{self.path} is being written by {self.writer()}; wait for it to end, or "
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
                with contextlib.suppress(OSError):  # the lock decides; the file only names us
                    self._owner.unlink()

    def write_config(self, config: RunConfig, registry: Registry) -> None:
        """Save a resolved configuration as TOML, and copies of the single-file plugins it uses."""
        import tomli_w

        keep_copies(registry.files(config.records(registry)), self.plugins)
        write_atomically(self.config_file, [tomli_w.dumps(config.table()).encode()])

    def write_evaluation(self, table: Mapping[str, Any]) -> None:
        """Save the result of a training that has ended."""
        text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(self.evaluation_file, [text.encode(), b"\n"])

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

        The last one is first read back in full; damaged ones after it do not count, and stay.

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
