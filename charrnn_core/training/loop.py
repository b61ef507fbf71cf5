"""The training loop as a generator of events: what is due is done between device calls."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn_core.cell import Params
from charrnn_core.errors import TrainingError
from charrnn_core.events import Evaluated, Event, Incident, Sampled, Saved, Stepped
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.training.batches import Batch, Batching, stack_batches
from charrnn_core.training.policy import Budget, Policy
from charrnn_core.training.update import Measured, Trainer, TrainState

_CHARACTERS_PER_CALL = 2**16
_UPDATES_PER_CALL = 128
_SECONDS_PER_CALL = 0.5
_UPDATES_PER_ROW = 100
_MOST_STEPS = 2**31 - 1
_ENDING_SECONDS = 1.0
"""What a process needs to begin, and after its last evaluation to report and end."""

_MOST_SKIPS = 20
_MOST_ROLLBACKS = 10


@dataclass(frozen=True)
class Tools:
    """What the loop calls between updates.

    Arguments:
        evaluate: parameters to held-out nats per character; None if nothing is held out.
        sample: a state to text.
        save: writes a checkpoint of both states; gives its path.
        roll_back: from the loop's state to both states as they were at the last evaluation.
        stop: whether somebody wants training to end now.
    """

    evaluate: Callable[[Params], float] | None
    sample: Callable[[TrainState], str]
    save: Callable[[TrainState, LoopState], Any]
    roll_back: Callable[[LoopState], tuple[TrainState, LoopState]]
    stop: Callable[[], bool]


@dataclass
class Session:
    """One sitting of a training: from where its states are to the end of its budget.

    Arguments:
        trainer, batching, budget, policy, tools: what is trained, on what, how long, and how.
        state, loop: where training is; both change as it goes on.
        window: T, characters per window.
        prompt: what samples begin with.
        at_most: updates per device call.
        from_first_update: whether a budget in minutes begins with the first update of this sitting,
            not when the clock began.
        updating: the clock's reading at the first update; None before.
    """

    trainer: Trainer
    state: TrainState
    loop: LoopState
    batching: Batching
    window: int
    budget: Budget
    policy: Policy
    tools: Tools
    prompt: str = ""
    at_most: int = _UPDATES_PER_CALL
    from_first_update: bool = False
    updating: float | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)
    _evaluated: bool = field(default=False, init=False)
    _pace: float = field(default=math.inf, init=False)
    _overhead: float = field(default=0.0, init=False)
    _saved: tuple[float, int] = field(default=(0.0, -1), init=False)

    def events(self) -> Iterator[Event]:
        """Train, and yield what happens.

        Raises:
            TrainingError: the loss is not finite and the policy is to stop, or skipping and rolling
                back did not help. The last checkpoint is from before.
        """
        loop = self.loop
        loop.status = "running"
        streams = self.trainer.streams
        room = max(1, min(self.at_most, _CHARACTERS_PER_CALL // (streams * self.window)))
        yield self._save()  # before anything that takes time: there is something to go on from
        advance = self.trainer.compile(self.state, room, self.window)
        self.updating = self.budget.clock()
        if self.from_first_update:
            self.budget = self.budget.begun_at(self.updating)
        budget = self.budget
        self._saved = budget.clock(), loop.step
        self._over = loop.step > 0 and self._seconds_left() <= 0
        if self._over:  # the clock ran out between two sittings
            yield from self._due()
        while not self._over and not self.tools.stop():
            count, total = self._next_call(room)
            batches = stack_batches(self.batching, self.loop.step, count, room)
            began = budget.clock()
            told = self._call(advance, batches, count, total)
            seconds = budget.clock() - began
            self._pace = seconds / count
            self.loop.row_seconds += seconds
            weights = batches.weights[: len(told.made)].sum(axis=(1, 2), dtype=np.int64)
            before = self.loop
            yield from self._count(told, weights)
            if self.loop is before:
                yield from self._due()
            else:  # rolled back to an evaluation, at which all that was due was done
                self._over = self._seconds_left() <= 0
        loop = self.loop
        if loop.status == "running":
            loop.status = "finished" if self._over else "interrupted"
        yield self._save()

    def _call(
        self, advance: Callable[..., Any], batches: Batch, count: int, total: int
    ) -> Measured:
        """Make updates; what is told of them, up to one that is not made because training ends or
        rolls back there. The state is finite afterwards."""
        before = self.state

        def call(count: int) -> Measured:
            self.state, told = advance(before, batches, np.int32(count), np.int32(total))
            return told

        told = call(count)
        nats, made, lost = (np.array(each)[:count] for each in (told.nats, told.made, told.lost))
        if self.policy.non_finite != "skip":
            bad = ~np.isfinite(nats)
            if self.policy.non_finite == "stop":
                bad |= lost.any(axis=1)
            first = int(np.argmax(np.append(bad, True)))
            if first < count or not told.sound:
                # Again, but only up to the update that is to blame: any number gives the same bits.
                blamed = first
                if not call(first).sound:
                    numbers = range(1, first)
                    blamed = bisect_left(numbers, True, key=lambda n: not call(n).sound)
                    call(blamed)
                made[blamed:], count = False, min(blamed + 1, count)
        if (last := self._one_too_many(made[:count] & ~lost[:count].any(axis=1))) is not None:
            call(last)
            count = last + 1
        return Measured(nats[:count], made[:count], lost[:count], True)

    def _one_too_many(self, sound: Any) -> int | None:
        """The index of the update that is one too many in a row that were not sound."""
        skipped = self.loop.skipped
        for i, one in enumerate(sound):
            skipped = 0 if one else skipped + 1
            if skipped > _MOST_SKIPS:
                return i
        return None

    def _seconds_left(self) -> float:
        left, budget = math.inf, self.budget
        if budget.steps is not None:
            steps = budget.steps - self.loop.step
            left = steps * self._pace if steps > 0 else 0.0
        if budget.deadline is not None:
            spent = budget.clock() + self._overhead + _ENDING_SECONDS
            left = min(left, budget.deadline - spent)
        return max(0.0, left)

    def _next_call(self, room: int) -> tuple[int, int]:
        """How many updates the next call makes, and an estimate of those of the whole run."""
        step, left = self.loop.step, self._seconds_left()
        wanted = min(room, self._until_row(step))
        for interval in self._intervals():
            wanted = min(wanted, interval - step % interval if interval else wanted)
        if self.budget.steps is not None:
            wanted = min(wanted, self.budget.steps - step)
        seconds = min(_SECONDS_PER_CALL, left)
        count = 1 if math.isinf(self._pace) else max(1, min(wanted, int(seconds / self._pace)))
        # Before the first call was timed, there seem to be very many left.
        more = 10**6 if math.isinf(self._pace) else left / self._pace
        estimate = step + count + int(min(more, _MOST_STEPS - step - count))
        return count, min(self.budget.steps or _MOST_STEPS, estimate)

    def _intervals(self) -> tuple[int | None, int | None]:
        """Updates between evaluations and between samples; None if the clock decides."""
        tenth = None
        if self.budget.steps is not None and self.budget.deadline is None:
            tenth = max(1, -(-self.budget.steps // 10))
        return self.policy.eval_interval or tenth, self.policy.sample_interval or tenth

    def _until_row(self, step: int) -> int:
        """How many updates are left until the next row of the metrics log.

        Rows end with epochs; long epochs have more of them, several short epochs share one.
        """
        per_epoch = self.batching.steps_per_epoch
        if per_epoch >= _UPDATES_PER_ROW // 2:
            in_epoch = step % per_epoch
            return min(per_epoch - in_epoch, _UPDATES_PER_ROW - in_epoch % _UPDATES_PER_ROW)
        interval = per_epoch * -(-_UPDATES_PER_ROW // (2 * per_epoch))
        return interval - step % interval

    def _count(self, told: Measured, weights: Any) -> Iterator[Event]:
        """Take account of the updates of a call; see to those that are not finite."""
        loop, policy = self.loop, self.policy.non_finite
        for nats, made, lost, characters in zip(*told[:3], weights, strict=True):
            if made and not lost.any():
                loop.skipped = 0
            else:
                incident = self._incident(float(nats), made, lost)
                yield incident
                if not made and policy == "rollback" and loop.rollbacks < _MOST_ROLLBACKS:
                    self.state, self.loop = self.tools.roll_back(loop)
                    return
                loop.skipped += 1
                if incident.action in ("stop", "rollback") or loop.skipped > _MOST_SKIPS:
                    yield self._save("diverged")
                    raise TrainingError(self._divergence(incident))
            if made:
                loop.count(float(nats), int(characters))
            loop.step += 1

    def _incident(self, nats: float, made: bool, lost: Any) -> Incident:
        """What is known of the next update, in which something is not finite."""
        loop, norms = self.loop, {}
        action = "restart" if made else self.policy.non_finite
        epoch, index = divmod(loop.step, self.batching.steps_per_epoch)
        if action in ("stop", "rollback"):  # else the state is that of later updates already
            norms = self.trainer.gradient_norms(self.state, self.batching.batch(epoch, index))
        return Incident(
            step=loop.step + 1, epoch=loop.step / self.batching.steps_per_epoch,
            positions=self.batching.positions(epoch, index), nats_per_char=nats,
            gradient_norms=norms, action=action, streams=tuple(np.flatnonzero(lost).tolist()),
        )  # fmt: skip

    def _divergence(self, incident: Incident) -> str:
        loop, tried = self.loop, ""
        if incident.action in ("skip", "restart"):
            tried = f", nor were the {_MOST_SKIPS} updates before it sound"
        if incident.action == "rollback":
            tried = f", after the learning rate was halved {loop.rollbacks} times"
        return (
            f"{incident.cause()} is not finite at update {incident.step}{tried}; lower the "
            "learning rate with --lr, or clip gradients with --optimizer-opt clip=1; what was "
            "learnt before is saved, and incidents.jsonl has the details"
        )

    def _due(self) -> Iterator[Event]:
        """Evaluate, log, sample and save, as far as each is due."""
        loop, per_epoch = self.loop, self.batching.steps_per_epoch
        progress = self.budget.progress(loop.step)
        before, loop.tenths = loop.tenths, int(progress * 10)
        left, began, fresh = self._seconds_left(), self.budget.clock(), None
        self._over = left <= 0

        def due(interval: int | None) -> bool:
            passed = loop.step % interval == 0 if interval else loop.tenths > before
            return self._over or passed

        eval_interval, sample_interval = self._intervals()
        evaluating = due(eval_interval)
        epoch = loop.step / per_epoch
        first = not self._evaluated
        if evaluating and self.tools.evaluate is not None:
            self._evaluated = True
            fresh = self.tools.evaluate(self.state.learnt)
            loop.evaluated(fresh)
            yield Evaluated(step=loop.step, epoch=epoch, nats_per_char=fresh,
                            bits_per_char=fresh / math.log(2))  # fmt: skip
            if 0 < self.policy.patience <= loop.stale:
                loop.status = "stopped early"
                self._over = True
        row = fresh is not None or self._over or self._until_row(loop.step - 1) == 1
        if row and loop.row_characters:
            yield Stepped(
                step=loop.step, epoch=epoch, characters=loop.characters + loop.row_characters,
                train_nats_per_char=loop.row_nats / loop.row_characters,
                held_out_nats_per_char=fresh, progress=progress,
                characters_per_second=loop.row_characters / max(loop.row_seconds, 1e-9),
                seconds_left=0.0 if self._over else left,
            )  # fmt: skip
            loop.end_row()
        if due(sample_interval):
            text = self.tools.sample(self.state)
            yield Sampled(step=loop.step, epoch=epoch, prompt=self.prompt, text=text)
        if evaluating:
            loop.anchor = loop.step
            counts = fresh is not None and self.policy.keep_every > 0
            if counts and loop.evaluations % self.policy.keep_every == 0:
                loop.kept.append(loop.step)
        late = self.budget.clock() - self._saved[0] >= self.policy.save_seconds
        if (evaluating or late) and not self._over:
            yield self._save()
        if evaluating and not first:  # the first time compiles, which the end of the run will not
            self._overhead = self.budget.clock() - began

    def _save(self, status: Any = None) -> Saved:
        self.loop.status = status or self.loop.status
        self.loop.seconds = self.budget.clock() - self.budget.started
        path = self.tools.save(self.state, self.loop)
        self._saved = self.budget.clock(), self.loop.step
        return Saved(step=self.loop.step, path=path)
