"""The training loop as a generator of events; evaluations, samples and saves fall between calls."""

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import TrainingError
from charrnn_core.evaluation.row import Row
from charrnn_core.events import Evaluated, Event, Incident, Sampled, Saved, Stepped
from charrnn_core.runs.loop_state import LoopState, Status
from charrnn_core.training.advance import MOST_SKIPS, advance
from charrnn_core.training.batches import Batching, stack_batches
from charrnn_core.training.host import Host
from charrnn_core.training.pace import Pace
from charrnn_core.training.policy import Budget, Policy
from charrnn_core.training.processes import Alone, Processes
from charrnn_core.training.state import Measured, Program, TrainState
from charrnn_core.training.timesheet import TimeSheet
from charrnn_core.training.update import Trainer

UPDATES_PER_CALL = 128
"""The most updates of one device call, unless the user asks for fewer."""

_CHARACTERS_PER_CALL = 2**16
_MOST_ROLLBACKS = 10


def room_of_a_call(most: int, characters: int) -> int:
    """Return how many updates a device call has room for: `most`, or fewer with many characters."""
    return max(1, min(most, _CHARACTERS_PER_CALL // characters))


Flags = npt.NDArray[np.bool_]


@dataclass(kw_only=True)
class TrainingLoop:
    """Training, from the given states to the end of the budget.

    Arguments:
        trainer, batching, budget, policy: what to train, on what, for how long, and how.
        host: the run that evaluates, samples and saves.
        processes: those that train together; most often this one alone.
        state, loop: the states of the model and of the loop; both advance during training.
        window: T, characters per window.
        prompt: the text that samples start with.
        updates_per_call: the most updates of one device call.
        from_first_update: whether a budget in minutes counts from the first update, not from when
            the clock started.
        time: what the time is spent on.
    """

    trainer: Trainer
    state: TrainState
    loop: LoopState
    batching: Batching
    window: int
    budget: Budget
    policy: Policy
    host: Host
    processes: Processes = field(default_factory=Alone)
    prompt: str = ""
    updates_per_call: int = UPDATES_PER_CALL
    from_first_update: bool = False
    time: TimeSheet = field(init=False)
    _pace: Pace = field(init=False)
    _over: bool = field(default=False, init=False)
    _calls: int = field(default=0, init=False)
    _evaluated: bool = field(default=False, init=False)
    _saved_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.budget, self.policy, self.batching.steps_per_epoch)
        # The budget of a resumed run counts from as long ago as the run has lasted.
        began = self.budget.started + self.loop.seconds
        own = self.processes.own_clock(self.budget.clock)
        self.time = TimeSheet(own, began, self.loop.spent)

    def events(self) -> Iterator[Event]:
        """Train, and yield an event for everything that happens.

        Raises:
            TrainingError: the loss is not finite and the policy is to stop, or skipping and rolling
                back did not help. The last checkpoint is from before that.
        """
        self.loop.status = "running"
        yield self._save()  # before anything slow, so that there is something to resume from
        room = room_of_a_call(self.updates_per_call, self._characters)
        program = self.trainer.compile(room, self.window)
        self.host.begin_updates()
        self.time.end_start_up()
        if self.from_first_update:
            self._pace.budget = self.budget = self.budget.begun_at(self.budget.clock())
        if self.budget.deadline is not None:  # a tenth that passed before does not count
            self.loop.tenths = int(self.budget.progress(self.loop.step) * 10)
        self._saved_at = self.budget.clock()
        self._over = self.loop.step > 0 and self._seconds_left() <= 0
        if self._over:  # the clock ran out between two sessions
            yield from self._do_what_is_due()
        while not self._over and not self.processes.stops(self.host.should_stop):
            with self._charged("updates"):
                measured, weights = self._call(program, room)
            if (yield from self._account_for(measured, weights)):
                # Back at an evaluation, where everything due had been done.
                self._over = self._seconds_left() <= 0
            else:
                yield from self._do_what_is_due()
        if self.loop.status == "running":
            self.loop.status = "finished" if self._over else "interrupted"
        yield self._save()

    # One device call.

    def _call(self, program: Program, room: int) -> tuple[Measured, npt.NDArray[np.int64]]:
        """Make the updates of one device call.

        Returns:
            What was measured, and the number of characters of each update.
        """
        count, total = self._pace.next_call(self.loop.step, room)
        batches = stack_batches(self.batching, self.loop.step, count, room)
        self.processes.agree(self.loop.step + count)
        began = self.budget.clock()
        self.state, measured = advance(
            program,
            self.state,
            batches,
            count,
            total,
            non_finite=self.policy.non_finite,
            skipped=self.loop.skipped,
        )
        self.processes.agree(self.loop.step)
        seconds, self._calls = self.budget.clock() - began, self._calls + 1
        self._pace.seconds_per_update = seconds / count
        self.loop.row_seconds += seconds
        weights = batches.weights[: len(measured.made)].sum(axis=(1, 2), dtype=np.int64)
        return measured, weights

    @contextlib.contextmanager
    def _charged(self, what: str) -> Iterator[None]:
        """Charge the time of the block, and agree on what the clock reads after it."""
        with self.time.charged(what):
            yield
            self.processes.agree(self.loop.step)

    # The results of a call.

    def _account_for(
        self, measured: Measured, weights: npt.NDArray[np.int64]
    ) -> Generator[Event, None, bool]:
        """Count the updates of a call, and handle those that are not finite.

        Returns:
            Whether training was rolled back.
        """
        loop, policy = self.loop, self.policy.non_finite
        for nats, made, lost, characters in zip(*measured[:3], weights, strict=True):
            if made and not lost.any():
                loop.skipped = 0
            else:
                incident = self._incident(float(nats), made, lost)
                loop.incident_bytes = self.host.log_incident(incident)
                yield incident
                if not made and policy == "rollback" and loop.rollbacks < _MOST_ROLLBACKS:
                    self.state, self.loop = self.host.roll_back(loop)
                    return True
                loop.skipped += 1
                if incident.action in ("stop", "rollback") or loop.skipped > MOST_SKIPS:
                    yield self._save("diverged")
                    raise TrainingError(self._divergence(incident))
            if made:
                loop.count(float(nats), int(characters))
            loop.step += 1
        return False

    def _incident(self, nats: float, made: bool, lost: Flags) -> Incident:
        """Describe the next update, in which something was not finite."""
        loop, norms = self.loop, {}
        action = "restart" if made else self.policy.non_finite
        epoch, index = divmod(loop.step, self.batching.steps_per_epoch)
        if action in ("stop", "rollback"):  # otherwise the state has already moved on
            norms = self.trainer.gradient_norms(self.state, self.batching.batch(epoch, index))
        return Incident(
            step=loop.step + 1,
            epoch=loop.step / self.batching.steps_per_epoch,
            positions=self.batching.positions(epoch, index),
            nats_per_char=nats,
            gradient_norms=norms,
            action=action,
            streams=tuple(np.flatnonzero(lost).tolist()),
        )

    def _divergence(self, incident: Incident) -> str:
        tried = ""
        if incident.action in ("skip", "restart"):
            tried = f", after {MOST_SKIPS} such updates in a row"
        if incident.action == "rollback":
            tried = f", although the learning rate was halved {self.loop.rollbacks} times"
        return (
            f"{incident.cause()} is not finite at update {incident.step}{tried}; lower the "
            "learning rate with --lr, or clip gradients with --optimizer-opt clip=1; everything "
            "learned before that is saved, and incidents.jsonl has the details"
        )

    # What is due between calls.

    def _do_what_is_due(self) -> Iterator[Event]:
        """Evaluate, log, sample and save, each if it is due."""
        loop, began = self.loop, self.budget.clock()
        progress = self.budget.progress(loop.step)
        tenths, loop.tenths = loop.tenths, int(progress * 10)
        left = self._seconds_left()
        self._over = left <= 0

        between = self._pace.tenths_between()

        def has_passed(interval: int | None) -> bool:
            if interval:
                return loop.step % interval == 0
            # The first update tells how long one takes, and nothing about the model.
            return loop.step > 1 and loop.tenths // between > tenths // between

        eval_interval, sample_interval = self._pace.intervals()
        evaluating, was_evaluated = self._over or has_passed(eval_interval), self._evaluated
        held_out = None
        if evaluating:
            held_out = yield from self._evaluate()
        row_ends = self._pace.row_ends(loop.step)
        if (held_out is not None or self._over or row_ends) and loop.row_characters:
            yield self._row(held_out, progress, seconds_left=0.0 if self._over else left)
            loop.end_row()
        if self._over or has_passed(sample_interval):
            with self._charged("samples"):
                text = self.host.sample(self.state)
            yield Sampled(step=loop.step, epoch=self._epoch, prompt=self.prompt, text=text)
        if evaluating:
            self._anchor(was_measured=held_out is not None)
        is_late = self.budget.clock() - self._saved_at >= self.policy.save_seconds
        if (evaluating or is_late) and not self._over:
            yield self._save()
        if evaluating and was_evaluated:  # not the first one, which includes compilation
            self._pace.seconds_per_evaluation = self.budget.clock() - began

    def _seconds_left(self) -> float:
        pace = self._pace
        if self._calls > 1:  # the first is of a single update, which tells little
            each = pace.seconds_per_update / self._characters
            pace.seconds_to_close = self.host.seconds_to_close(self.loop, each)
            if self.budget.deadline is not None:
                pace.seconds_to_close = self.processes.of_leader(pace.seconds_to_close)
        return pace.seconds_left(self.loop.step)

    @property
    def _characters(self) -> int:
        """The characters of an update."""
        return self.trainer.streams * self.window

    @property
    def _epoch(self) -> float:
        return self.loop.step / self.batching.steps_per_epoch

    def _evaluate(self) -> Generator[Event, None, Row | None]:
        """Score the held-out text, if there is one; stop early if nothing more is to be won."""
        loop = self.loop
        with self._charged("evaluation"):
            row = self.host.evaluate(self.state.learnt)
        if row is None:
            return None
        nats, self._evaluated = row.nats_per_char, True
        loop.evaluated(nats, loop.row_nats / loop.row_characters if loop.row_characters else None)
        yield Evaluated(
            step=loop.step,
            epoch=self._epoch,
            nats_per_char=nats,
            bits_per_char=nats / math.log(2),
        )
        if self.policy.has_seen_enough(loop, self._epoch):
            loop.status = "stopped early"
            self._over = True
        return row

    def _row(self, held_out: Row | None, progress: float, seconds_left: float) -> Stepped:
        """Return the next row of the metrics log."""
        loop = self.loop
        return Stepped(
            step=loop.step,
            epoch=self._epoch,
            characters=loop.characters + loop.row_characters,
            train_nats_per_char=loop.row_nats / loop.row_characters,
            held_out_nats_per_char=None if held_out is None else held_out.nats_per_char,
            held_out_interval=None if held_out is None else held_out.interval,
            progress=progress,
            characters_per_second=loop.row_characters / max(loop.row_seconds, 1e-9),
            seconds_left=seconds_left,
            spent=self.time.spent,
        )

    def _anchor(self, was_measured: bool) -> None:
        """Make this the update to roll back to, and decide whether to keep its checkpoint."""
        loop, keep_every = self.loop, self.policy.keep_every
        loop.anchor = loop.step
        if was_measured and keep_every > 0 and loop.evaluations % keep_every == 0:
            loop.kept.append(loop.step)

    def _save(self, status: Status | None = None) -> Saved:
        self.loop.status = status or self.loop.status
        self.loop.seconds = self.budget.clock() - self.budget.started
        self.loop.spent = dataclasses.asdict(self.time.spent)
        with self._charged("checkpoints"):
            path = self.host.save(self.state, self.loop)
        self._saved_at = self.budget.clock()
        return Saved(step=self.loop.step, path=path)
