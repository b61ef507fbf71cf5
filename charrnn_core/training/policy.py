"""When a training ends, and what is due before it does."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Policy:
    """What is due when, and what to do if an update is not finite.

    Arguments:
        eval_interval, sample_interval: updates between evaluations and between samples; None is a
            tenth of the budget.
        save_seconds: seconds between checkpoints; one is also written at every evaluation.
        keep_every: keep the checkpoint of every k-th evaluation for ever; 0 keeps none.
        patience: end after this many evaluations in a row that were not the best; 0 never does.
        non_finite: ``"stop"``, ``"skip"`` the update, or ``"rollback"`` to the last evaluation and
            halve the learning rate.
    """

    eval_interval: int | None = None
    sample_interval: int | None = None
    save_seconds: float = 60.0
    keep_every: int = 0
    patience: int = 0
    non_finite: Literal["stop", "skip", "rollback"] = "stop"


@dataclass(frozen=True)
class Budget:
    """When training ends: after `steps` updates, or when the clock reads `deadline`.

    `started` is when the clock began to count, which may be before training did.
    """

    steps: int | None
    started: float
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic

    def begun_at(self, started: float) -> "Budget":
        """The same budget with a clock that begins to count then.

        >>> Budget(None, started=0.0, deadline=60.0).begun_at(10.0).deadline
        70.0
        """
        if self.deadline is None:
            return self
        later = started - self.started
        return dataclasses.replace(self, started=started, deadline=self.deadline + later)

    def progress(self, step: int) -> float:
        """The share of the budget used, 0 to 1.

        >>> Budget(steps=10, started=0.0).progress(4)
        0.4
        """
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.deadline is not None:
            shares.append((self.clock() - self.started) / (self.deadline - self.started))
        return min(1.0, max(shares))
