"""Disks that record, fail and die, and runs whose content tells whether it is right. No jax."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from charrnn_core.files.atomic import Disk, make_directory
from charrnn_core.files.checkpoint import Checkpoint, save_checkpoint
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.writer import RunWriter

ROOT = Path(__file__).resolve().parent.parent
KEEP_LAST = 2
LARGE, SMALL = 2**20, 2**9
"""How many bytes the arrays of a checkpoint may take."""

Content = tuple[dict[str, Any], dict[str, np.ndarray]]


class Wrong(Exception):
    """A checkpoint holds something else than was saved at its step."""


class Noted(Exception):
    """A damaged file was passed over, though none should be there."""


def best(step: int) -> int:
    """The step that is called the best at a step."""
    return max(1, step - step % 5)


def content(step: int, most: int = LARGE) -> Content:
    """Table and arrays of a step: they follow from it alone, so that anything wrong is noticed."""
    rng = np.random.default_rng(step)
    length = int(most * rng.random() ** 3)
    table = {"step": step, "loop": {"best_step": best(step)}, "noise": rng.bytes(8)}
    arrays = {
        "params/W": np.frombuffer(rng.bytes(length // 8 * 4), np.float32),
        "params/b": np.frombuffer(rng.bytes(length // 32 * 16), np.int64).reshape(2, -1, 1),
        "nothing": np.zeros((0, 3), np.float16),
        "count": np.array(step),
    }
    return table, arrays


def same(checkpoint: Checkpoint, expected: Content) -> bool:
    """Whether a checkpoint holds exactly that."""
    table, arrays = expected
    return checkpoint.table == table and [
        (name, array.dtype, array.shape, array.tobytes())
        for name, array in checkpoint.arrays.items()
    ] == [(name, array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()]


def save(run: RunWriter, step: int, disk: Disk | None = None, most: int = LARGE) -> None:
    """What a run does at a step: save, then prune."""
    disk = disk or Disk()
    save_checkpoint(run.checkpoint_file(step), *content(step, most), disk)
    run.prune(KEEP_LAST, [best(step)], disk)


def make_run(path: Path, steps: int = 0, most: int = LARGE) -> RunWriter:
    """A run directory after so many saves."""
    run = RunWriter(path)
    make_directory(run.checkpoints)
    for step in range(1, steps + 1):
        save(run, step, most=most)
    return run


def found(run: RunWriter, most: int = LARGE, note: Callable[[str], None] | None = None) -> int:
    """The step of the checkpoint that a run gives, which is compared; 0 if it has none yet.

    Raises:
        StorageError: it cannot be read.
        Wrong: it is not what was saved at that step.
        Noted: a damaged file was passed over, and there is no `note`.
    """
    if not run.saved():
        return 0
    path, checkpoint = open_checkpoint(run.path, note or _unexpected)
    step = int(checkpoint.arrays["count"])
    if path != run.checkpoint_file(step) or not same(checkpoint, content(step, most)):
        raise Wrong(f"{path} is not what was saved")
    return step


def _unexpected(line: str) -> NoReturn:
    raise Noted(line)


def temporaries(run: RunWriter) -> list[Path]:
    """What killed writers left: everything that is nothing else."""
    known = {run.path / ".lock", run.path / ".owner", run.checkpoints, *run.saved()}
    return [path for path in run.path.rglob("*") if path not in known]


class Interposed(Disk):
    """A disk of which every call goes through `do`."""

    def do(self, call: str, *arguments: Any) -> Any:
        return getattr(Disk, call)(self, *arguments)

    def create(self, path: Path) -> int:
        return self.do("create", path)

    def write(self, descriptor: int, data: memoryview) -> int:
        return self.do("write", descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.do("sync", descriptor)

    def close(self, descriptor: int) -> None:
        self.do("close", descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self.do("replace", source, target)

    def unlink(self, path: Path) -> None:
        self.do("unlink", path)

    def sync_directory(self, path: Path) -> None:
        self.do("sync_directory", path)


class Recorder(Interposed):
    """A disk that keeps a list of its calls, except those that it is told to forget to make."""

    def __init__(self, forgets: str = ""):
        self.calls: list[tuple[Any, ...]] = []
        self.forgets = forgets

    def do(self, call: str, *arguments: Any) -> Any:
        if call == self.forgets:
            return None
        result = super().do(call, *arguments)
        if call == "write":
            descriptor, data = arguments
            arguments = descriptor, bytes(data[:result])
        self.calls.append((call, *arguments, result))
        return result


class Killing(Interposed):
    """A disk that kills its process before the `at`-th call, or amid it if that is a write.

    Arguments:
        at: counted from 1.
        cut: from the number of bytes to how many are written before death.
    """

    def __init__(self, at: int, cut: Callable[[int], int] = lambda length: 0):
        self.left, self.cut = at, cut

    def do(self, call: str, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            if call == "write":
                descriptor, data = arguments
                os.write(descriptor, data[: self.cut(len(data))])
            os.kill(os.getpid(), signal.SIGKILL)
        return super().do(call, *arguments)


class Killed(BaseException):
    """What a `Dead` disk raises; no error, so that nobody handles it."""


class Dead(Interposed):
    """A disk that leaves what a killed process leaves, in the process: from `at` on, nothing."""

    def __init__(self, at: int):
        self.left = at
        self.open: set[int] = set()

    def do(self, call: str, *arguments: Any) -> Any:
        self.left -= 1
        if self.left <= 0:
            for descriptor in self.open:
                os.close(descriptor)
            self.open.clear()
            raise Killed
        result = super().do(call, *arguments)
        if call == "create":
            self.open.add(result)
        if call == "close":
            self.open.discard(arguments[0])
        return result


class Failing(Interposed):
    """A disk on which one call fails with an error code.

    Arguments:
        code: such as `errno.ENOSPC`.
        at: the call that fails, counted from 1.
        after: instead, how many bytes can be written before a write fails.
    """

    def __init__(self, code: int, at: int = 0, after: int = -1):
        self.code, self.at, self.after = code, at, after
        self.failed = ""

    def do(self, call: str, *arguments: Any) -> Any:
        self.at -= 1
        if call == "write" and self.after > 0:
            descriptor, data = arguments
            arguments = descriptor, data[: self.after]
            self.after -= len(arguments[1])
        elif self.at == 0 or (call == "write" and self.after == 0):
            self.failed, self.after = call, -1
            if call == "close":
                super().do(call, *arguments)
            raise OSError(self.code, os.strerror(self.code))
        return super().do(call, *arguments)
