"""Puts what is asked for into slots, and hands out what comes of it: a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CharRNNError, SamplingError
from charrnn_core.serving.shaping import Shaping
from charrnn_core.serving.slots import DRAW, Slots, Told, Turn, keys_of

FEW, MANY = 16, 64
"""K, how many symbols a call reads and writes: few while somebody waits for a first one."""


class BusyError(CharRNNError):
    """No more can wait; expected to be tried again later."""


@dataclass(eq=False)
class Job:
    """One stream: what it reads, then what it draws.

    Arguments:
        reads: the ids to read, at least one.
        draws: how many to draw then; 0 for none.
        seed, row: what decides on the draws, as in ``charrnn sample --seed``, and which of several
            samples it is.
        how: what is drawn from.
        take: called in the batcher's thread with the next ids, in order, those that are read and
            those that are drawn; returns whether more is wanted. It is called with None at the end
            of what was asked for, and with an error if there is one.
        scored: whether `take` needs log-probabilities.
    """

    reads: npt.NDArray[np.int32]
    draws: int
    take: Callable[[Told | CharRNNError | None], bool]
    seed: int = 0
    row: int = 0
    how: Shaping = Shaping()
    scored: bool = False
    sent: int = field(default=0, init=False)
    """How many of the ids the device has been asked for."""
    place: int = field(default=0, init=False)
    """How many of them have been handed out."""
    cancelled: bool = field(default=False, init=False)
    """Whether no more is wanted."""

    @property
    def length(self) -> int:
        """How many ids it has in all."""
        return len(self.reads) + self.draws


class _Flight(NamedTuple):
    """A call of the device: the jobs of the slots, and what will come of it."""

    jobs: tuple[Job | None, ...]
    told: Told


class Batcher:
    """A thread that keeps slots busy with jobs, the first that comes first.

    Arguments:
        slots: what runs on the device; nothing else may use it.
        waiting: how many jobs may wait for a slot.

    Example::

        batcher = Batcher(Slots(model.network, model.params, chain, 32), waiting=128)
        batcher.submit([Job(ids, 100, take)])
        batcher.close()
    """

    def __init__(self, slots: Slots, waiting: int) -> None:
        self._slots, self._most = slots, waiting
        self._jobs: list[Job | None] = [None] * slots.count
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self.symbols = 0
        self._keys = np.tile(keys_of(0), (slots.count, 1, 1))
        for steps in (FEW, MANY):
            for scored in (False, True):
                slots(Turn.idle(steps, slots.count), scored)
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def active(self) -> int:
        """How many slots are in use."""
        return sum(job is not None for job in self._jobs)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a slot."""
        return len(self._waiting)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let jobs take their turn.

        Raises:
            BusyError: so many cannot wait, or no more are taken.
        """
        with self._changed:
            free = self._jobs.count(None)
            if self._closing or len(self._waiting) + len(jobs) > self._most + free:
                raise BusyError("the server is busy; try again later")
            self._waiting.extend(jobs)
            self._changed.notify()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Forget jobs, whether they wait or not; their slots are free after the present call."""
        with self._changed:
            for job in jobs:
                job.cancelled = True
            self._waiting = deque(job for job in self._waiting if not job.cancelled)

    def close(self) -> None:
        """Finish what has been taken, take no more, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        """Let the device write on while what it has written is handed out."""
        before: _Flight | None = None
        while True:
            with self._changed:
                self._admit()
                while not self.active and before is None:
                    if self._closing:
                        return
                    self._changed.wait()
                    self._admit()
            now = None
            try:
                now = self._fly() if self.active else None
                if before is not None:
                    self._land(before)
            except Exception as error:  # whatever it is, others are served after it
                self._fail([flight for flight in (before, now) if flight], error)
                now = None
            before = now

    def _fly(self) -> "_Flight":
        """Send the slots off; a job that needs nothing after this leaves its slot."""
        jobs, turn = tuple(self._jobs), self._turn()
        flight = _Flight(jobs, self._slots(turn, any(job and job.scored for job in jobs)))
        for slot, job in enumerate(jobs):
            if job is not None:
                job.sent += len(turn.ids)
                if job.sent >= job.length:
                    self._jobs[slot] = None
        return flight

    def _land(self, flight: "_Flight") -> None:
        """Hand out what came of a flight."""
        told = jax.device_get(flight.told)
        for slot, job in enumerate(flight.jobs):
            if job is not None and not job.cancelled:
                job.cancelled = not self._hand_out(job, slot, told)

    def _fail(self, flights: Sequence[_Flight], error: Exception) -> None:
        """End all jobs with an error, and begin afresh."""
        jobs = [*self._jobs, *(job for flight in flights for job in flight.jobs)]
        for job in {job for job in jobs if job is not None and not job.cancelled}:
            job.cancelled = True
            job.take(SamplingError(f"the model failed: {error}"))
        self._slots.reset()

    def _admit(self) -> None:
        for slot, job in enumerate(self._jobs):
            if job is not None and job.cancelled:
                self._jobs[slot] = job = None
            if job is None and self._waiting:
                self._jobs[slot] = job = self._waiting.popleft()
                self._keys[slot] = keys_of(job.seed)

    def _steps(self) -> int:
        new = any(job is not None and job.sent < len(job.reads) + FEW for job in self._jobs)
        return FEW if new or self._waiting else MANY

    def _turn(self) -> Turn:
        steps = self._steps()
        turn = Turn.idle(steps, self._slots.count)
        for slot, job in enumerate(self._jobs):
            if job is None:
                continue
            some = job.reads[job.sent : job.sent + steps]
            turn.ids[: len(some), slot] = some
            turn.ids[len(some) :, slot] = DRAW
            turn.begins[slot], turn.rows[slot] = job.sent == 0, job.row
            for array, number in zip(turn.how, job.how, strict=True):
                array[slot] = number
        return turn._replace(keys=self._keys.copy())

    def _hand_out(self, job: Job, slot: int, told: Told) -> bool:
        """Give a job what is its own; return whether it wants more."""
        count = min(len(told.ids), job.length - job.place)
        self.symbols += count
        of_slot = Told(*(None if leaf is None else leaf[:count, slot] for leaf in told))
        job.place += count
        if (of_slot.ids < 0).any():
            job.take(
                SamplingError(
                    "cannot draw: the sampler forbids every symbol, or the model's output is not "
                    "finite; use another sampler"
                )
            )
            return False
        if not job.take(of_slot):
            return False
        if job.place < job.length:
            return True
        job.take(None)
        return False
