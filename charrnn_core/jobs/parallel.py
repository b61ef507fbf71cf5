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
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from charrnn_core.devices import threads
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

_SCHEDULER = "DASK_SCHEDULER_ADDRESS"
_SECONDS_BETWEEN_LOOKS = 0.2
_IDLE_SECONDS = 2
"""How long a worker waits for work; one whose starter was killed ends by that."""
_MOST_LOSSES = 3
_MEMORY = 0.75
"""Which share of a GPU's memory jax takes by default."""

T = TypeVar("T", bound=Training)


def check_backend(backend: str) -> None:
    """Check that what several trainings at a time take is installed, and named.

    Raises:
        CharRNNError: a package is missing; the message says how to install it.
    """
    for package in ("joblib", _PACKAGES[backend]):
        if importlib.util.find_spec(package) is None:
            raise CharRNNError(f"{package} is missing; {_REMEDIES[package]}")


def with_a_share(surroundings: Surroundings, jobs: int) -> Surroundings:
    """Return surroundings in which jax takes as many threads as this machine has cores for a job.

    How many threads compute changes no bit, as long as there are two; how many devices do is a
    setting of the training.

    >>> with_a_share(Surroundings(Path("/")), 10**6).variables["PJRT_NPROC"]
    '2'
    """
    shares = {
        "PJRT_NPROC": str(threads(jobs)),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_MEMORY / jobs:.3g}",
    }
    shares = {name: value for name, value in shares.items() if name not in os.environ}
    return dataclasses.replace(surroundings, variables={**shares, **surroundings.variables})


@dataclass(frozen=True)
class Jobs:
    """How several trainings run at a time, each in a process that a worker of joblib starts.

    What a training computes does not depend on how many run beside it. If a worker is lost, what
    the trainings had saved is resumed by others, a few times. At a signal, or if this process is
    killed, all save and stop.

    Arguments:
        count: how many run at a time.
        lock: a file that is locked while this process waits for the workers. They see it: on
            other machines, too, so it has to be on a file system that all share, as the
            directories of the trainings have to be.
        surroundings: what the processes of trainings find.
        backend: who starts the workers: loky on this machine, dask or ray on their clusters.
    """

    count: int
    lock: Path
    surroundings: Surroundings
    backend: str = "loky"

    def train(
        self,
        trainings: Sequence[T],
        tick: Callable[[Sequence[T]], None] = lambda running: None,
        ended: Callable[[T, Ending], None] = lambda training, ending: None,
    ) -> int | None:
        """Run trainings, in the order in which they begin.

        Arguments:
            trainings: those to run.
            tick: called several times a second, in a thread of its own, with those that run.
            ended: called with each that has ended and how, but for those that were interrupted.

        Returns:
            The signal that interrupted it, or None.

        Raises:
            TrainingError: workers were lost several times and no training ended in between.
            CharRNNError: a package is missing, or a training cannot be begun; the others have
                stopped.
        """
        check_backend(self.backend)
        due, over = list(trainings), threading.Event()
        with Interruption(insistent=True) as interruption, Lifeline(self.lock).held() as hold:

            def watch() -> None:
                try:
                    while not over.wait(_SECONDS_BETWEEN_LOOKS) and not interruption.has_come:
                        tick(due[: self.count])
                finally:
                    hold.close()
                if interruption.has_come:
                    to_stderr("stopping once all have saved; press Ctrl-C again to stop them now")

            with ThreadPoolExecutor(1) as pool:
                watching = pool.submit(watch)
                try:
                    with self._workers():
                        why = self._work_off(due, interruption, hold, ended)
                except KeyboardInterrupt:
                    why = "interrupted"
                finally:
                    over.set()
            watching.result()
            if due and not interruption.has_come:
                raise TrainingError(why or self._unseen())
        return interruption.signal

    def _work_off(
        self,
        due: list[T],
        interruption: Interruption,
        hold: contextlib.ExitStack,
        ended: Callable[[T, Ending], None],
    ) -> str | None:
        """Run trainings until all have ended or stopped, with new workers where some were lost.

        Arguments:
            due: those to run; whatever has ended is removed.
            hold: what to close so that all stop.

        Returns:
            Why one could not be begun, or why there are no more workers.
        """
        losses, why, stopped = 0, None, False
        while due and not stopped:
            given = list(due)
            try:
                for answer in self._answers(given):
                    if answer.refusal is not None:
                        why = why or answer.refusal
                        hold.close()
                    if answer.ending is None or answer.ending.interrupted:
                        stopped = True
                    else:
                        losses = 0
                        due.remove(given[answer.number])
                        ended(given[answer.number], answer.ending)
            except _WorkerLostError as error:
                if stopped or interruption.has_come:
                    return why
                losses += 1
                titles = "; ".join(training.title for training in due[: self.count])
                if losses == _MOST_LOSSES:
                    return (
                        f"workers were lost {losses} times while they trained {titles} ({error}); "
                        "give fewer jobs or free some memory, then start the same command again"
                    )
                to_stderr(f"note: a worker was lost ({error}); resuming {titles}")
        return why

    def _answers(self, trainings: Sequence[Training]) -> "Iterator[_Answer]":
        """Run trainings in workers, `count` at a time; yield answers as they come.

        Raises:
            _WorkerLostError: no more answers are to be had.
        """
        import joblib

        backend, _ = joblib.parallel.get_active_backend()
        # Ray's gives all answers at the end.
        streams = getattr(backend, "supports_return_generator", False)
        # So that never more than `count` are begun, whatever a backend thinks that it has room for.
        parallel = joblib.Parallel(
            n_jobs=self.count,
            return_as="generator_unordered" if streams else "list",
            batch_size=1,  # pyright: ignore[reportArgumentType]  # the type is that of its default
            pre_dispatch=str(self.count),
        )
        surroundings = self.surroundings
        if self.backend == "loky":
            surroundings = with_a_share(surroundings, self.count)
        call = joblib.delayed(_work)
        try:
            with _signals_blocked() if streams else contextlib.nullcontext():
                answers = parallel(
                    call(number, training, surroundings, self.lock)
                    for number, training in enumerate(trainings)
                )
            for answer in answers:
                assert isinstance(answer, _Answer)
                yield answer
        except Exception as error:  # each backend has exceptions of its own for it
            reason = f"{type(error).__name__}: {error}"
            raise _WorkerLostError(reason.splitlines()[0].partition(". ")[0]) from error

    @contextlib.contextmanager
    def _workers(self) -> Iterator[None]:
        """Let joblib use the backend during the block, on the cluster of this environment."""
        import joblib

        more = {}
        with contextlib.ExitStack() as stack:
            if self.backend == "dask":
                stack.enter_context(_client_of_dask())
            elif self.backend == "ray":
                importlib.import_module("ray.util.joblib").register_ray()
            else:
                more = {"idle_worker_timeout": _IDLE_SECONDS}
            stack.enter_context(joblib.parallel_config(backend=self.backend, **more))
            yield

    def _unseen(self) -> str:
        return (
            f"workers do not see that {self.lock} is locked, so they train nothing; choose a "
            "directory of a file system that all machines share, with its locks"
        )


def _client_of_dask() -> contextlib.AbstractContextManager[object]:
    """Return a connection to the scheduler that the environment names.

    Raises:
        CharRNNError: it names none, or that does not answer.
    """
    if (address := os.environ.get(_SCHEDULER)) is None:
        raise CharRNNError(
            f"no scheduler of dask is named; set {_SCHEDULER}, such as tcp://10.0.0.1:8786, or use "
            "--backend loky on this machine"
        )
    try:
        return importlib.import_module("distributed").Client(address)
    except OSError as error:
        raise CharRNNError(f"dask's scheduler {address} cannot be reached: {error}") from error


class _Answer(NamedTuple):
    """What a worker says of a training: how it ended, or why it could not be begun."""

    number: int
    ending: Ending | None = None
    refusal: str | None = None


def _work(number: int, training: Training, surroundings: Surroundings, lock: Path) -> _Answer:
    """Train, as a worker."""
    try:
        return _Answer(number, train(training, surroundings, Lifeline(lock)))
    except CharRNNError as error:  # some of them cannot be sent to another process
        return _Answer(number, refusal=str(error))


class _WorkerLostError(Exception):
    """A worker ended before its training did, for the reason in the message."""


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
