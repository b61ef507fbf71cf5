"""One training in a process of its own, resumed where that was killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import own
from charrnn_core.jobs.stopping import Stop
from charrnn_core.jobs.training import Training
from charrnn_core.registry.single_file import VARIABLE, environment_for_children

_SECONDS_BETWEEN_CHECKS = 0.2
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_MOST_KILLS = 3


class Ending(NamedTuple):
    """How a training ended.

    Arguments:
        error: what went wrong, on one line; None if it ended well, or was interrupted.
        kills: how often its process was killed, and what it had saved resumed.
        interrupted: whether it was stopped before its end.
    """

    error: str | None = None
    kills: int = 0
    interrupted: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What the processes of trainings find, on whatever machine they run.

    Arguments:
        directory: the directory that relative paths of sources begin in.
        variables: what their environment has besides that of the process that starts them.
    """

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls, **variables: str) -> "Surroundings":
        """Return the directory of this process, its single-file plugins, and these variables.

        >>> Surroundings.here(JAX_NUM_CPU_DEVICES="1").variables["JAX_NUM_CPU_DEVICES"]
        '1'
        """
        plugins = environment_for_children(os.environ).get(VARIABLE)
        return cls(Path.cwd(), {**({VARIABLE: plugins} if plugins else {}), **variables})


def train(
    training: Training,
    surroundings: Surroundings,
    stop: Stop,
    tick: Callable[[], None] = lambda: None,
) -> Ending:
    """Run a training in its own process until it ends; nothing if it is done.

    If the process is killed, as a system does that lacks memory, what it has saved is resumed by
    another, a few times; how a process fails by itself is how the training fails.

    Arguments:
        training: the training.
        surroundings: what its process finds.
        stop: what may stop it earlier.
        tick: called several times a second.

    Raises:
        RunDirectoryError: another process is at work on it.
        StorageError: as for `Training.begin`.
    """
    error = None
    with training.claimed():
        for kills in range(_MOST_KILLS):
            if stop.has_come:
                return Ending(None, kills, interrupted=True)
            if training.is_done():
                return Ending(None, kills)
            code, peak = _wait(training, surroundings, stop, tick)
            interrupted = stop.has_come
            error = training.ended(code, peak, interrupted)
            if interrupted or code != -signal.SIGKILL or not training.resumable:
                return Ending(error, kills, interrupted and not training.is_done())
        return Ending(error, _MOST_KILLS)


def _wait(
    training: Training, surroundings: Surroundings, stop: Stop, tick: Callable[[], None]
) -> tuple[int, int]:
    """Run one process of a training; return its exit code and its peak memory in bytes."""
    with _started(training.begin(), training.log, surroundings) as process:
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            stop.pass_on(process)
            tick()
            time.sleep(_SECONDS_BETWEEN_CHECKS)
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * _RSS_UNIT


@contextlib.contextmanager
def _started(
    arguments: list[str], log: Path, surroundings: Surroundings
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a charrnn command as a process, which does not outlive the block."""
    with explained("write", log), open(log, "ab", opener=own) as output:
        # In its own group Ctrl-C does not reach it: with the forwarded signal it would get two,
        # and quit without saving. Its standard input tells it whether this process is alive.
        process = subprocess.Popen(
            [sys.executable, "-m", "charrnn_core.jobs", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            cwd=surroundings.directory,
            env={**os.environ, **surroundings.variables},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
