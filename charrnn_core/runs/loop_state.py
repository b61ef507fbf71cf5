"""The state of the training loop besides the `TrainState`: plain numbers, saved with it."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from charrnn_core.errors import CheckpointError
from charrnn_core.files.typed import Between, Count, check

Status = Literal["running", "finished", "stopped early", "interrupted", "diverged"]
Step = Annotated[int, Between(0, 2**31 - 1)]
"""A number of updates, which are counted in int32."""

Seconds = Annotated[float, Between(0, 1e10)]

Loss = Annotated[float, Between(-1e300, 1e300)]

_RISE = 0.04
"""The share of the least held-out loss by which it has to have risen to be called overfitting.

At 1.5 nats it is 0.06; two evaluations on the same excerpt differ by chance by 0.001 or 0.002.
"""

_NEW = frozenset({"spent", "best_train", "overfits"})
"""Fields that checkpoints of before do not have."""


@dataclass
class LoopState:
    """How far training has got, and how it went.

    Arguments:
        status: what training was doing when this was saved.
        step: updates so far, including skipped ones.
        characters: characters trained on up to the last row of the metrics log.
        row_nats, row_characters, row_seconds: sums for the next row.
        seconds: wall-clock time used, including start-up.
        spent: where the time of the run went, by the names of `charrnn_core.events.TimeSpent`.
        tenths: completed tenths of the budget.
        held_out: the last held-out loss in nats per character, on the part that is scored while it
            learns; so are those of `best`.
        best, best_step: the lowest held-out loss, and the update after which it was measured; once
            a training has ended, those of the model that was best on all of the held-out text.
        best_train: the training loss just before that update.
        evaluations, stale: evaluations so far, and those since the best one.
        overfits: how many of the last evaluations, without a gap, found the model to overfit.
        anchor: the update of the last evaluation, to which training rolls back.
        kept: updates whose checkpoints are never removed.
        skipped: consecutive updates skipped up to now.
        rollbacks: how often training was rolled back.
        incident_bytes: the length of the incident log.

    >>> state = LoopState()
    >>> state.evaluated(1.5), state.evaluated(1.6), state.best, state.stale
    (None, None, 1.5, 1)
    """

    status: Status = "running"
    step: Step = 0
    characters: Count = 0
    row_nats: float = 0.0
    row_characters: Count = 0
    row_seconds: Seconds = 0.0
    seconds: Seconds = 0.0
    spent: dict[str, Seconds] = dataclasses.field(default_factory=dict)
    tenths: Annotated[int, Between(0, 10)] = 0
    held_out: float | None = None
    best: Loss | None = None
    best_step: Step | None = None
    best_train: Loss | None = None
    evaluations: Count = 0
    stale: Count = 0
    overfits: Count = 0
    anchor: Step = 0
    kept: list[Step] = dataclasses.field(default_factory=list)
    skipped: Count = 0
    rollbacks: Count = 0
    incident_bytes: Count = 0

    def table(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, table: Any) -> "LoopState":
        """Read a state that `table` returned.

        Raises:
            CheckpointError: it is not such a table; the message names the field that is wrong.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(table, Mapping) or {*table, *_NEW} != names:
            raise CheckpointError(
                "the checkpoint does not hold the state of training: it is for sampling only, or "
                "from another version of charrnn; start a new training from its parameters with: "
                "charrnn run --init-from"
            )
        try:
            check(table, cls, "loop")
        except ValueError as error:
            raise CheckpointError(f"the checkpoint cannot be used: {error}") from error
        return cls(**{"spent": {"other": table["seconds"]}, **table})

    def evaluated(self, nats: float, train: float | None = None) -> None:
        """Record a held-out loss measured at this update.

        The model overfits if that loss is 4 % above the least one while the training loss is below
        what it was then. The first is the generalisation loss of Prechelt 1998, "Early stopping -
        but when?"; the second tells overfitting from divergence.

        Arguments:
            nats: the held-out loss in nats per character.
            train: the training loss of the updates just before.
        """
        self.held_out = nats
        self.evaluations += 1
        if math.isfinite(nats) and (self.best is None or nats < self.best):
            self.best, self.best_step, self.best_train = nats, self.step, train
            self.stale = self.overfits = 0
        else:
            self.stale += 1
            self.overfits = self.overfits + 1 if self._overfits(nats, train) else 0

    def _overfits(self, nats: float, train: float | None) -> bool:
        if self.best is None or self.best_train is None or train is None:
            return False
        return nats > self.best + _RISE * abs(self.best) and train < self.best_train

    def prefer_last(self) -> None:
        """Make the last evaluation the best: on all of the held-out text it was."""
        measured = self.held_out is not None and math.isfinite(self.held_out)
        self.best, self.best_step = (self.held_out, self.step) if measured else (None, None)
        self.forget_patience()

    def forget_patience(self) -> None:
        """Count from here on how many evaluations bring nothing."""
        self.stale = self.overfits = 0

    def count(self, nats: float, characters: int) -> None:
        """Add one update to the next row; adding them one by one keeps the order of the sum."""
        self.row_nats += nats * characters
        self.row_characters += characters

    def end_row(self) -> None:
        """Start the next row of the metrics log."""
        self.characters += self.row_characters
        self.row_nats, self.row_characters, self.row_seconds = 0.0, 0, 0.0
