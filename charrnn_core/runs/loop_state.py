"""What decides how training goes on, besides the `TrainState`: plain numbers, saved with it."""

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


@dataclass
class LoopState:
    """Where training is and how it went so far.

    Arguments:
        status: what training was doing when this was saved.
        step: updates so far, those that were skipped included.
        characters: characters trained on up to the last row of the metrics log.
        row_nats, row_characters, row_seconds: what the next row has gathered.
        seconds: wall-clock time used, start-up included.
        tenths: tenths of a wall-clock budget that were completed.
        held_out: the last held-out loss in nats per character.
        best, best_step: the least held-out loss, and the update after which it was measured.
        evaluations, stale: evaluations so far, and those since the best one.
        anchor: the update of the last evaluation, to which training rolls back.
        kept: updates whose checkpoints are kept for ever.
        skipped: updates skipped in a row up to now.
        rollbacks: how often training was rolled back.
        incident_bytes: how long the log of incidents is.

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
    tenths: Annotated[int, Between(0, 10)] = 0
    held_out: float | None = None
    best: Annotated[float, Between(-1e300, 1e300)] | None = None
    best_step: Step | None = None
    evaluations: Count = 0
    stale: Count = 0
    anchor: Step = 0
    kept: list[Step] = dataclasses.field(default_factory=list)
    skipped: Count = 0
    rollbacks: Count = 0
    incident_bytes: Count = 0

    def table(self) -> dict[str, Any]:
        """The plain form, for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, table: Any) -> "LoopState":
        """The state that `table` gave.

        Raises:
            CheckpointError: it is not such a table; the field that is wrong is named.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(table, Mapping) or table.keys() != names:
            raise CheckpointError(
                "the checkpoint does not say how training stood: it is for sampling only, or from "
                "another version of charrnn; train anew from it with: charrnn run --init-from"
            )
        try:
            check(table, cls, "loop")
        except ValueError as error:
            raise CheckpointError(f"the checkpoint cannot be used: {error}") from error
        return cls(**table)

    def evaluated(self, nats: float) -> None:
        """Take note of a held-out loss measured at this update."""
        self.held_out = nats
        self.evaluations += 1
        if math.isfinite(nats) and (self.best is None or nats < self.best):
            self.best, self.best_step, self.stale = nats, self.step, 0
        else:
            self.stale += 1

    def count(self, nats: float, characters: int) -> None:
        """Add an update to the next row; one at a time, so that no grouping can change the sum."""
        self.row_nats += nats * characters
        self.row_characters += characters

    def end_row(self) -> None:
        """Begin the next row of the metrics log."""
        self.characters += self.row_characters
        self.row_nats, self.row_characters, self.row_seconds = 0.0, 0, 0.0
