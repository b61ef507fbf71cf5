"""The directory of a run: who writes it, what is kept, and which checkpoint can be trusted."""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from charrnn_core.checkpoint import Checkpoint, load_checkpoint
from charrnn_core.errors import ResumeError, RunDirectoryError, StorageError
from charrnn_core.recovery import checkpoint_name, first_good, load_step, step_of
from charrnn_core.regular import check_own_directory, named, read_own
from charrnn_core.run import RunConfig
from charrnn_core.storage import (
    DISK,
    Disk,
    explained,
    is_locked,
    locked,
    make_directory,
    remove_temporaries,
    write_atomically,
)

_LOCK_SECONDS = 0.2
"""How long a writer waits for the lock: readers that ask whether a run is live hold it a moment."""

_LONGEST_OWNER = 4096

_LOOKS = 5
"""How often a reader looks again when the checkpoints it saw are pruned before it can read them."""


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one training: ``config.toml``, ``metrics.jsonl`` and ``checkpoints/``."""

    path: Path

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
        return self.path / "checkpoints"

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
    def claim(cls, config: RunConfig, out: Path | None = None) -> Iterator["RunDirectory"]:
        """Make a new run directory, by default a numbered one under ``runs/``, and be its writer.

        If the block fails before it has written the configuration, the directory is removed again.

        Raises:
            RunDirectoryError: `out` holds a run already, is being written, or is no directory.
            StorageError: it cannot be written.
        """
        if out is not None and out.exists() and not out.is_dir():
            raise RunDirectoryError(f"{out} is a file; choose another directory with --out")
        made = out is None or not out.exists()
        run = cls(_number(Path("runs"), _label(config)) if out is None else out)
        try:
            with run.writing():
                if run.config_file.exists() or run.metrics_file.exists() or run.saved():
                    raise RunDirectoryError(
                        f"{run.path} holds a run already; choose another directory with --out, or "
                        f"go on with: charrnn resume {quote(str(run.path))}"
                    )
                try:
                    make_directory(run.checkpoints)
                    yield run
                finally:  # under the lock: without it, another's run could be removed
                    if made and not run.config_file.exists():
                        shutil.rmtree(run.path, ignore_errors=True)
        finally:
            if made:
                with contextlib.suppress(OSError):  # it is not empty
                    run.path.rmdir()
            if out is None:
                with contextlib.suppress(OSError):  # other runs are in it
                    run.path.parent.rmdir()

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Be the writer of a run that is there already.

        Raises:
            ResumeError: the path is a checkpoint file.
            RunDirectoryError: it is no run, or another process is writing it.
        """
        if self.path.is_file():
            raise ResumeError(
                f"{self.path} is a file, and resume takes the directory of a run; to begin a new "
                f"training with its parameters: charrnn run --init-from {quote(str(self.path))}"
            )
        if not self.checkpoints.is_dir():
            raise RunDirectoryError(f"{self.path} is no run directory; expected what 'run' wrote")
        with self.writing():
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

    def write_config(self, config: RunConfig) -> None:
        """Save the resolved configuration as TOML."""
        import tomli_w

        write_atomically(self.config_file, [tomli_w.dumps(config.table()).encode()])

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


def open_checkpoint(
    run: Path, note: Callable[[str], None], best: bool = False
) -> tuple[Path, Checkpoint]:
    """The newest good checkpoint of a run directory, or a checkpoint file itself, with its path.

    Arguments:
        note: takes a line for every damaged file that was passed over.
        best: take the checkpoint with the least held-out loss instead.

    Raises:
        RunDirectoryError: the path is neither, or the run has no checkpoint yet.
        CheckpointError: no checkpoint is good; the message says what is wrong with the newest.
    """
    directory = RunDirectory(run)
    with explained("read", run):
        if run.is_file():
            return run, load_checkpoint(run, named)
        if not run.exists():
            raise RunDirectoryError(f"{run} does not exist; expected a run or a checkpoint")
        if not directory.config_file.is_file() and not directory.checkpoints.is_dir():
            raise RunDirectoryError(
                f"{run} is not a run directory: it has no config.toml and no checkpoints/; "
                "expected what 'charrnn run --out DIR' wrote"
            )
    for _ in range(_LOOKS):
        if not (saved := directory.saved()):
            how = (
                "let the training go on for a while"
                if directory.is_live()
                else f"begin again with: charrnn run --config {quote(str(directory.config_file))}"
            )
            raise RunDirectoryError(f"{run} has no checkpoint yet; {how}")
        lines: list[str] = []
        found = first_good(saved[::-1], lines.append)
        if found is not None and best:
            found = _best(directory, *found)
        if found is not None:
            for line in lines:
                note(line)
            return found
    which = "best" if best else "newest"
    raise RunDirectoryError(f"the {which} checkpoint of {run} is gone when it is read; try again")


def _best(
    directory: RunDirectory, newest: Path, checkpoint: Checkpoint
) -> tuple[Path, Checkpoint] | None:
    """The checkpoint that the newest one calls the best; None if it has vanished."""
    loop = checkpoint.table.get("loop")
    step = loop.get("best_step") if isinstance(loop, dict) else None
    if type(step) is not int or step < 0:
        raise RunDirectoryError(f"{newest} knows no held-out loss; leave out --best")
    path = directory.checkpoint_file(step)
    found = load_step(path)
    return found and (path, found)


def _label(config: RunConfig) -> str:
    source = f"{config.source.use}-{Path(config.source.argument or '').stem}".strip("-")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.cell.use}-{source}").strip("-")


def _number(parent: Path, label: str) -> Path:
    """Create the first directory ``LABEL-N`` that nobody has, even if others do the same now."""
    with explained("create", parent):
        for number in itertools.count(1):
            path = parent / f"{label}-{number}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            DISK.sync_directory(parent.parent)
            return path
    raise AssertionError("unreachable: a number is always free")
