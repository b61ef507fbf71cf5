"""The speed of a training, which decides how many updates a device call makes, and what is due."""

import math
from dataclasses import dataclass

from charrnn_core.training.policy import Budget, Policy

_SECONDS_PER_CALL = 2.0
"""A call copies the state that it starts from, which takes a tenth of a second with a context."""

_UPDATES_PER_ROW = 100
_MOST_STEPS = 2**31 - 1
_ENDING_SECONDS = 0.8
"""The time a process needs to start, and to report and exit at the end."""

_SHARE = 0.05
"""The share of a wall-clock budget that may go to evaluations, samples and checkpoints."""

_MOST_TO_CLOSE = 0.5
"""The share of a wall-clock budget that an estimate may claim for what comes after the last update.

The first calls are short and slow, and what they let one expect would end a training at once.
"""

_TENTHS = (1, 2, 5)
"""How many tenths of a wall-clock budget may lie between evaluations, from the best on."""


@dataclass
class Pace:
    """How often things are due, in updates, and how long updates and evaluations take.

    Arguments:
        budget, policy: when training ends, and what is due before that.
        steps_per_epoch: the updates of an epoch.
        seconds_per_update: as last measured; infinite before the first call.
        seconds_per_evaluation: as last measured, including samples and a checkpoint.
        seconds_to_close: an estimate of the time that is needed after the last update, besides.
    """

    budget: Budget
    policy: Policy
    steps_per_epoch: int
    seconds_per_update: float = math.inf
    seconds_per_evaluation: float = 0.0
    seconds_to_close: float = 0.0

    def seconds_left(self, step: int) -> float:
        """Estimate the time until the budget is used up.

        >>> Pace(Budget(steps=10, started=0.0), Policy(), 5, seconds_per_update=2.0).seconds_left(4)
        12.0

        Half of a budget in time is for training, whatever comes after it is expected to take:

        >>> early = Budget(None, started=0.0, deadline=60.0, clock=lambda: 10.0)
        >>> Pace(early, Policy(), 5, 0.2, seconds_to_close=50.0).seconds_left(5)
        19.2
        """
        left, budget = math.inf, self.budget
        if budget.steps is not None:
            steps = budget.steps - step
            left = steps * self.seconds_per_update if steps > 0 else 0.0
        if budget.deadline is not None:
            most = _MOST_TO_CLOSE * (budget.deadline - budget.started)
            ending = self.seconds_per_evaluation + min(self.seconds_to_close, most)
            ending += _ENDING_SECONDS
            left = min(left, budget.deadline - budget.clock() - ending)
        return max(0.0, left)

    def next_call(self, step: int, room: int) -> tuple[int, int]:
        """Return the updates of the next call, and an estimate of the updates of the whole run.

        A call ends where something may be due, and takes about two seconds.

        Arguments:
            step: updates so far.
            room: the most updates of a call.
        """
        left = self.seconds_left(step)
        wanted = min(room, self.updates_until_row(step))
        for interval in self.intervals():
            wanted = min(wanted, interval - step % interval if interval else wanted)
        if self.budget.steps is not None:
            wanted = min(wanted, self.budget.steps - step)
        if math.isinf(self.seconds_per_update):
            count, more = 1, 10**6  # no call has been timed yet: assume that very many are left
        else:
            seconds = min(_SECONDS_PER_CALL, left)
            count = max(1, min(wanted, int(seconds / self.seconds_per_update)))
            more = left / self.seconds_per_update
        estimate = step + count + int(min(more, _MOST_STEPS - step - count))
        return count, min(self.budget.steps or _MOST_STEPS, estimate)

    def intervals(self) -> tuple[int | None, int | None]:
        """Return the updates between evaluations and between samples; None if the clock decides."""
        tenth = None
        if self.budget.steps is not None and self.budget.deadline is None:
            tenth = max(1, -(-self.budget.steps // 10))
        return self.policy.eval_interval or tenth, self.policy.sample_interval or tenth

    def tenths_between(self) -> int:
        """Return how many tenths of a wall-clock budget lie between evaluations: 1, 2 or 5.

        With what comes at the end they take a twentieth of the budget, if two can.

        >>> budget = Budget(None, started=0.0, deadline=60.0)
        >>> [Pace(budget, Policy(), 5, 0.1, each, 0.5).tenths_between() for each in (0.2, 0.3, 3.0)]
        [1, 2, 5]
        """
        if self.budget.deadline is None:
            return 1
        allowed = _SHARE * (self.budget.deadline - self.budget.started) - self.seconds_to_close
        fitting = (n for n in _TENTHS if 10 // n * self.seconds_per_evaluation <= allowed)
        return next(fitting, _TENTHS[-1])

    def updates_until_row(self, step: int) -> int:
        """Return how many updates are left until the next row of the metrics log.

        Rows end with epochs; a long epoch has several rows, and short epochs share one.
        """
        per_epoch = self.steps_per_epoch
        if per_epoch >= _UPDATES_PER_ROW // 2:
            in_epoch = step % per_epoch
            return min(per_epoch - in_epoch, _UPDATES_PER_ROW - in_epoch % _UPDATES_PER_ROW)
        interval = per_epoch * -(-_UPDATES_PER_ROW // (2 * per_epoch))
        return interval - step % interval

    def row_ends(self, step: int) -> bool:
        """Return whether a row of the metrics log ends with this update."""
        return self.updates_until_row(step - 1) == 1
