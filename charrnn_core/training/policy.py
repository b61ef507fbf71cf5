"""When a training ends, and what is due before that."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.training.batches import Batching

_MOST_STEPS = 2**31 - 1
"""Updates are counted in int32."""

_OVERFITS = 2
"""How many evaluations in a row have to find the model to overfit: a single one may be a spike."""


@dataclass(frozen=True)
class Policy:
    """What is due when, and what to do if an update is not finite.

    Arguments:
        eval_interval, sample_interval: updates between evaluations and between samples; None means
            a tenth of the budget, or more, see `Pace.tenths_between`.
        save_seconds: seconds between checkpoints; one is also written at every evaluation.
        keep_every: never remove the checkpoint of every k-th evaluation; 0 for none of them.
        patience: stop after this many evaluations without a new best; 0 never stops early, and None
            if the model overfits.
        non_finite: ``"stop"``, ``"skip"`` the update, or ``"rollback"`` to the last evaluation and
            halve the learning rate.
    """

    eval_interval: int | None = None
    sample_interval: int | None = None
    save_seconds: float = 60.0
    keep_every: int = 0
    patience: int | None = None
    non_finite: Literal["stop", "skip", "rollback"] = "stop"

    def has_seen_enough(self, loop: LoopState, epoch: float) -> bool:
        """Return whether an evaluation shows that nothing more is to be won.

        Without a `patience`, that is two evaluations in a row at which the model overfits, see
        `LoopState.evaluated`: what has been lost by then, a learning rate that falls to zero does
        not win back. In the first epoch there is nothing to overfit to.

        >>> loop = LoopState(best=1.5, best_step=9, stale=2, overfits=2)
        >>> [Policy(patience=each).has_seen_enough(loop, 3.5) for each in (None, 0, 2, 3)]
        [True, False, True, False]
        """
        if self.patience is None:
            return loop.overfits >= _OVERFITS and epoch > 1
        return 0 < self.patience <= loop.stale


@dataclass(frozen=True)
class Budget:
    """When training ends: after `steps` updates, or when the clock reads `deadline`.

    `started` is the clock's reading from which time counts, which may be before training started.
    """

    steps: int | None
    started: float
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(
        cls,
        config: RunConfig,
        batching: Batching,
        started: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Budget":
        """Return the budget of a run that reads its text in these batches."""
        limits = []
        if (updates := updates_in(config.epochs, batching)) is not None:
            limits.append(updates)
        if config.characters is not None:
            updates = -(
                -config.characters * batching.steps_per_epoch // batching.characters_per_epoch
            )
            limits.append(max(1, updates))
        deadline = None if config.minutes is None else started + 60 * config.minutes
        return cls(min(*limits, _MOST_STEPS) if limits else None, started, deadline, clock)

    def begun_at(self, started: float) -> "Budget":
        """Return the budget with its time counted from another reading of the clock.

        >>> Budget(None, started=0.0, deadline=60.0).begun_at(10.0).deadline
        70.0
        """
        if self.deadline is None:
            return self
        later = started - self.started
        return dataclasses.replace(self, started=started, deadline=self.deadline + later)

    def progress(self, step: int) -> float:
        """Return the share of the budget that is used, from 0 to 1.

        >>> Budget(steps=10, started=0.0).progress(4)
        0.4
        """
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.deadline is not None:
            shares.append((self.clock() - self.started) / (self.deadline - self.started))
        return min(1.0, max(shares))


def updates_in(epochs: float | None, batching: Batching) -> int | None:
    """Convert epochs to updates, at least one; None stays None."""
    if epochs is None:
        return None
    return max(1, round(min(_MOST_STEPS, epochs * batching.steps_per_epoch)))
