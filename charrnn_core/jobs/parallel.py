"""Several trainings at a time, by joblib: on this machine, or on those of dask or ray."""

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from charrnn_core.devices import cores
from charrnn_core.errors import CharRNNError, TrainingError
from charrnn_core.jobs.process import Ending, Surroundings, train
from charrnn_core.jobs.stopping import SIGNALS, Interruption, Lifeline
from charrnn_core.jobs.training import Training
from charrnn_core.terminal import to_stderr

_REMEDIES = {
    "joblib": "pip install 'charrnn[jobs]'",
    "distributed": "pip install 'dask[distributed]'",
    "ray": "pip install ray",
}
_PACKAGES = {"loky": "joblib", "dask": "distributed", "ray": "ray"}
BACKENDS = tuple(_PACKAGES)
"""Who starts the workers: loky on this machine, dask and ray on their clusters."""

_SECONDS_BETWEEN_LOOKS = 0.2
_MOST_LOSSES = 3
_MEMORY = 0.75  # of a GPU, as jax takes it for one process


def check_backend(backend: str | None) -> None:
    """Check that what several trainings at a time take is installed.

    Raises:
        CharRNNError: a package is missing; the message says how to install it.
    """
    for package in ("joblib", _PACKAGES.get(backend or "loky", "joblib")):
        if importlib.util.find_spec(package) is None:
            raise CharRNNError(f"{package} is missing; {_REMEDIES[package]}")


def train_in_jobs(
    trainings: Sequence[Training],
    jobs: int,
    surroundings: Surroundings,
    *,
    folder: Path,
    backend: str | None = None,
    tick: Callable[[Sequence[Training]], None] = lambda running: None,
    ended: Callable[[Training, Ending], None] = lambda training, ending: None,
) -> int | None:
    """Run trainings, so many at a time, each in a process that a worker of joblib starts.

    What a training computes does not depend on how many run beside it. If a worker is lost, what
    the trainings had saved is resumed by others, a few times. At a signal, or if this process is
    killed, all save and stop.

    Arguments:
        trainings: in the order in which they begin.
        jobs: how many run at a time.
        surroundings: what their processes find.
        folder: where workers see whether this process still waits for them; it has to be the same
            for all machines, as the directories of the trainings have to be.
        backend: one of `BACKENDS`; None is that of `joblib.parallel_config`, by default loky.
        tick: called several times a second, in a thread of its own, with those that run.
        ended: called with each that has ended and how, but for those that were interrupted.

    Returns:
        The signal that interrupted it, or None.

    Raises:
        TrainingError: workers were lost several times without a training that ended in between.
        CharRNNError: a package is missing, or a training cannot be begun; the others have stopped.
    """
    check_backend(backend)
    if backend in (None, "loky"):
        surroundings = with_a_share(surroundings, jobs)
    due, file, over = list(trainings), folder / ".jobs.lock", threading.Event()
    with Interruption(insistent=True) as interruption, Lifeline(file).held() as hold:

        def watch() -> None:
            try:
                while not over.wait(_SECONDS_BETWEEN_LOOKS) and not interruption.has_come:
                    tick(due[:jobs])
            finally:
                hold.close()
            if interruption.has_come:
                to_stderr("stopping once the trainings have saved; press Ctrl-C again to stop now")

        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(watch)
            try:
                with _chosen(backend):
                    _work_off(due, jobs, _Task(surroundings, file), interruption, hold, ended)
            except KeyboardInterrupt:
                if not interruption.has_come:
                    raise
            finally:
                over.set()
        watching.result()
    return interruption.signal


def with_a_share(surroundings: Surroundings, jobs: int) -> Surroundings:
    """Return surroundings in which jax takes as many threads as this machine has cores for a job.

    How many threads compute changes no bit; how many devices do is a setting of the training.

    >>> with_a_share(Surroundings(Path("/")), 10**6).variables["PJRT_NPROC"]
    '1'
    """
    shares = {
        "PJRT_NPROC": str(max(1, cores() // jobs)),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_MEMORY / jobs:.3f}",
    }
    shares = {name: value for name, value in shares.items() if name not in os.environ}
    return dataclasses.replace(surroundings, variables={**shares, **surroundings.variables})


class _Answer(NamedTuple):
    """What a worker says about a training: how it ended, or why it could not be begun."""

    training: Training
    ending: Ending = Ending()
    refusal: str | None = None


@dataclasses.dataclass(frozen=True)
class _Task:
    """What a worker does."""

    surroundings: Surroundings
    lifeline: Path

    def __call__(self, training: Training) -> _Answer:
        try:
            ending = train(training, self.surroundings, Lifeline(self.lifeline))
            return _Answer(training, ending)
        except CharRNNError as error:  # some of them cannot be sent to another process
            return _Answer(training, refusal=str(error))


def _work_off(
    due: list[Training],
    jobs: int,
    task: _Task,
    interruption: Interruption,
    hold: contextlib.ExitStack,
    ended: Callable[[Training, Ending], None],
) -> None:
    """Run trainings until none is due, with new workers where some were lost.

    Arguments:
        due: those to run; whatever has ended is removed.
        hold: what to close so that the others stop.
    """
    losses, refusal = 0, None
    while due and refusal is None and not interruption.has_come:
        try:
            for answer in _answers(due, jobs, task):
                if answer.refusal is not None:
                    refusal = refusal or answer.refusal
                    hold.close()
                elif not answer.ending.interrupted:
                    due.remove(answer.training)
                    losses = 0
                    ended(answer.training, answer.ending)
        except _WorkerLostError as error:
            losses += 1
            titles = "; ".join(training.title for training in due[:jobs])
            if losses == _MOST_LOSSES and not interruption.has_come:
                raise TrainingError(
                    f"workers were lost {losses} times while they trained {titles} ({error}); "
                    "free some memory or give fewer jobs, then start the same command again"
                ) from error
            to_stderr(f"note: a worker was lost ({error}); its training is kept: {titles}")
    if refusal is not None:
        raise CharRNNError(refusal)


class _WorkerLostError(Exception):
    """A worker ended before its training did, for the reason in the message."""


def _answers(due: Sequence[Training], jobs: int, task: _Task) -> Iterator[_Answer]:
    """Run trainings in workers, `jobs` at a time in their order; yield answers as they come.

    Raises:
        _WorkerLostError: no more answers are to be had.
    """
    import joblib

    # So that never more than `jobs` are begun, whatever a backend thinks that it has room for.
    parallel = joblib.Parallel(
        n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs
    )
    try:
        with _signals_blocked():
            answers = parallel(joblib.delayed(task)(training) for training in list(due))
        yield from answers
    except Exception as error:  # each backend has exceptions of its own for it
        reason = f"{type(error).__name__}: {error}"
        raise _WorkerLostError(reason.splitlines()[0]) from error


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep signals from the processes that are started during the block; ours come after it.

    A Ctrl-C reaches every process of the terminal, and workers are to outlive their trainings.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _chosen(backend: str | None) -> Iterator[None]:
    """Let joblib use a backend during the block, on the cluster that its environment names."""
    import joblib

    with contextlib.ExitStack() as stack:
        if backend == "dask":
            stack.enter_context(importlib.import_module("distributed").Client())
        elif backend == "ray":
            importlib.import_module("ray.util.joblib").register_ray()
        if backend is not None:
            stack.enter_context(joblib.parallel_config(backend=backend))
        yield
