"""Kill writers of run directories, and say what is left of the runs.

    .venv/bin/python -m tests.kill_writers --kills 10000

Everything is imported once and forked for every kill; jax, which has threads, is not imported.
tests/test_kills.py runs the same with fewer kills.
"""

import argparse
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock  # noqa: F401  # here, so that no child has to import it

from charrnn_core.errors import StorageError
from charrnn_core.files.atomic import Disk, make_directory
from charrnn_core.runs.opening import open_model
from charrnn_core.runs.writer import RunWriter
from tests.crashes import (
    LARGE,
    SMALL,
    Killing,
    Noted,
    Wrong,
    best,
    found,
    make_run,
    save,
    temporaries,
)

_BEFORE = 9
"""Steps of the runs that are killed once: at the next one, two checkpoints are pruned."""

_KILLS_PER_RUN = 50
_MOST_REPORTS, _LONGEST = 7, 0.01
_REPORT = struct.Struct("<cQ")
_CUTS: tuple[Callable[[int], int], ...] = (
    lambda length: 0, lambda length: 1, lambda length: length // 2, lambda length: length - 1,
)  # fmt: skip
_REAL_CALLS = (
    "openat", "write", "fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "close",
    "mkdir", "mkdirat", "flock",
)  # fmt: skip


@dataclass
class Figures:
    """What came of it.

    Arguments:
        kills: writers killed.
        reads: times that a live run was read.
        saves: checkpoints that they reported to be saved.
        amid: kills that left a temporary file.
        unreadable: run directories that did not give a checkpoint, or a damaged file too.
        wrong: checkpoints that did not hold what was saved.
        most_lost: the most saves that were begun and are lost.
        forgotten: saves reported to be done that are lost.
        failed: writers that ended by themselves with an error, such as by the lock.
    """

    kills: int = 0
    reads: int = 0
    saves: int = 0
    amid: int = 0
    unreadable: int = 0
    wrong: int = 0
    most_lost: int = 0
    forgotten: int = 0
    failed: int = 0
    seconds: float = 0.0

    def good(self) -> bool:
        """Whether everything is as it should be."""
        bad = self.unreadable + self.wrong + self.forgotten + self.failed
        return self.kills + self.reads > 0 and bad == 0 and self.most_lost <= 1

    def look(self, run: RunWriter, begun: int, done: int, most: int = LARGE) -> int:
        """Take account of a run whose writer is dead; the step that it gives."""
        self.amid += bool(temporaries(run))
        try:
            step = found(run, most)
        except (StorageError, Noted) as error:
            self.unreadable += 1
            print(error, file=sys.stderr)
            return 0
        except Wrong as error:
            self.wrong += 1
            print(error, file=sys.stderr)
            return 0
        self.most_lost = max(self.most_lost, begun - step)
        self.forgotten += max(0, done - step)
        return step


def forked(work: Callable[..., None], *arguments: Any) -> int:
    """Call a function in a child; its process id."""
    if pid := os.fork():
        return pid
    try:
        work(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def was_killed(pid: int, figures: Figures) -> bool:
    """Wait for a child; whether it was killed. One that failed is counted."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    figures.kills += status == -signal.SIGKILL
    figures.failed += status not in (0, -signal.SIGKILL)
    return status == -signal.SIGKILL


def write(run: RunWriter, disk: Disk, saves: int, most: int, report: int = -1) -> None:
    """Go on with a run as `charrnn resume` does, and tell of every save begun and done."""
    with run.writing():
        make_directory(run.checkpoints)
        assert not temporaries(run), "what a killed writer left is still there"
        first = found(run, most) + 1
        for step in range(first, first + saves):
            if report >= 0:
                os.write(report, _REPORT.pack(b"b", step))
            save(run, step, disk, most)
            if report >= 0:
                os.write(report, _REPORT.pack(b"d", step))
            assert len(run.saved()) <= 4, "old checkpoints are not removed"


def kill_at_random(base: Path, kills: int, seed: int) -> Figures:
    """Kill writers at random moments; each goes on where the one before it was killed."""
    figures, rng, before = Figures(), random.Random(seed), 0
    for number in range(kills):
        run = RunWriter(base / str(number // _KILLS_PER_RUN))
        ear, mouth = os.pipe()
        pid = forked(write, run, Disk(), 10**9, LARGE, mouth)
        os.close(mouth)
        # However slow the machine is: some are killed before they begin, some amid later saves.
        told = b"".join(os.read(ear, _REPORT.size) for _ in range(rng.randrange(_MOST_REPORTS)))
        time.sleep(rng.random() * _LONGEST)
        os.kill(pid, signal.SIGKILL)
        was_killed(pid, figures)
        while piece := os.read(ear, 1 << 16):
            told += piece
        os.close(ear)
        steps = {b"b": before, b"d": before}
        for kind, step in _REPORT.iter_unpack(told):
            figures.saves += kind == b"d"
            steps[kind] = step
        before = figures.look(run, steps[b"b"], steps[b"d"])
        if number % _KILLS_PER_RUN == _KILLS_PER_RUN - 1:
            shutil.rmtree(run.path)
            before = 0
    return figures


def kill_before_each_call(base: Path) -> Figures:
    """Kill a save before every call to the disk, and amid every write, until one completes."""
    figures = Figures()
    begun = make_run(base / "begun", _BEFORE, SMALL)
    for cut in _CUTS:
        for at in range(1, 1000):
            run = RunWriter(base / "run")
            shutil.copytree(begun.path, run.path)
            disk = Killing(at, cut)
            killed = was_killed(forked(write, run, disk, 1, SMALL), figures)
            look_and_go_on(run, killed, figures)
            if not killed:
                break
    return figures


def look_and_go_on(run: RunWriter, killed: bool, figures: Figures) -> None:
    """Look at a run that should have been saved once more; let the next writer save; remove it."""
    figures.look(run, _BEFORE + 1, _BEFORE + (not killed), SMALL)
    was_killed(forked(write, run, Disk(), 1, SMALL), figures)
    figures.look(run, 0, _BEFORE + 1, SMALL)
    shutil.rmtree(run.path)


def kill_at_each_system_call(base: Path) -> Figures:
    """Kill a whole sitting on entering every system call, with strace, until one completes."""
    figures = Figures()
    begun = make_run(base / "begun", _BEFORE, SMALL)
    for call in _REAL_CALLS:
        for at in range(1, 1000):
            run = RunWriter(base / "run")
            shutil.copytree(begun.path, run.path)
            killed = was_killed(_traced(run, f"inject=?{call}:signal=KILL:when={at}"), figures)
            look_and_go_on(run, killed, figures)
            if not killed:
                break
    return figures


def _traced(run: RunWriter, injection: str) -> int:
    """A child that is traced and makes one save; its process id."""
    ear, mouth = os.pipe()

    def work() -> None:
        os.close(mouth)
        os.read(ear, 1)
        write(run, Disk(), 1, SMALL)

    pid = forked(work)
    trace = f"trace={','.join(f'?{call}' for call in _REAL_CALLS)}"
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", trace, "-e", injection, "-p", str(pid)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert "attached" in line, line
    os.close(mouth)
    os.close(ear)
    tracer.communicate()
    return pid


def read_meanwhile(base: Path, saves: int) -> Figures:
    """Read a run, without a lock, while it is written."""
    run, figures = make_run(base / "run", _BEFORE, SMALL), Figures()
    pid = forked(write, run, Disk(), saves, SMALL)
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        figures.reads += 1
        figures.look(run, 0, _BEFORE, SMALL)
        _, checkpoint, _ = open_model(run.path, print)
        figures.wrong += checkpoint.table["step"] != best(checkpoint.table["step"])
    figures.failed += ended[1] != 0
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--kills", type=int, help="kill so many writers at random moments")
    chosen.add_argument("--calls", action="store_true", help="kill before each call to the disk")
    chosen.add_argument("--strace", action="store_true", help="kill at each system call")
    chosen.add_argument("--reads", type=int, help="read during so many saves")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        if options.kills:
            figures = kill_at_random(Path(base), options.kills, seed)
        elif options.calls:
            figures = kill_before_each_call(Path(base))
        elif options.strace:
            figures = kill_at_each_system_call(Path(base))
        else:
            figures = read_meanwhile(Path(base), options.reads)
    figures.seconds = round(time.monotonic() - began, 1)
    print(json.dumps({**asdict(figures), "seed": seed}))
    sys.exit(not figures.good())


if __name__ == "__main__":
    main()
