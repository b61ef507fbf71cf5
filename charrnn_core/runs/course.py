"""The losses of a training over time: the rows of its metrics log."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from charrnn_core.events import TimeSpent

_SPANS = 10


class Stage(NamedTuple):
    """A row of the metrics log.

    Fields:
        step: updates so far.
        characters: characters trained on so far.
        train: mean training loss since the previous row, in nats per character.
        held_out: held-out loss at this update, if it was measured.
        interval: the middle 95 % of that loss, if it is known.
        seconds: the time that the run had taken, if it is known.
    """

    step: int
    characters: int
    train: float
    held_out: float | None = None
    interval: tuple[float, float] | None = None
    seconds: float | None = None


class Span(NamedTuple):
    """A tenth of a training: its last update, and its mean training loss."""

    step: int
    train: float


@dataclass
class Course:
    """The losses of a training over time.

    Arguments:
        stages: the rows of its log, in order; empty if there is no log.
        best, best_step: the lowest held-out loss, and the update after which it was measured.
        symbols: V, the size of the alphabet.
        ended: whether training is complete; False if it was interrupted, or is still running.
        last: the last held-out loss, on the same text as `best`; None if it is not known.

    >>> course = Course([Stage(1, 100, 3.0), Stage(2, 200, 2.0, 2.5)])
    >>> course.spans(), course.held_out()
    ([Span(step=1, train=3.0), Span(step=2, train=2.0)], [2.5])
    """

    stages: list[Stage] = field(default_factory=list)
    best: float | None = None
    best_step: int | None = None
    symbols: int | None = None
    ended: bool = True
    last: float | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, given by the column names of the metrics log.

        Raises:
            KeyError, TypeError, ValueError: it is not such a row.
        """
        held_out, interval = row.get("held_out_nats_per_char"), row.get("held_out_interval")
        spent = [float(row[name]) for name in TimeSpent().table() if name in row]
        self.stages.append(
            Stage(
                int(row["step"]),
                int(row["characters"]),
                float(row.get("train_nats_per_char", math.nan)),
                None if held_out is None else float(held_out),
                None if interval is None else (float(interval[0]), float(interval[1])),
                sum(spent) if spent else None,
            )
        )

    def forget_after(self, step: int) -> None:
        """Remove the rows after an update."""
        self.stages = [stage for stage in self.stages if stage.step <= step]

    def spans(self) -> list[Span]:
        """Return ten spans of equally many characters, or as many spans as there are rows."""
        if not self.stages:
            return []
        most, total = min(_SPANS, len(self.stages)), max(1, self.stages[-1].characters)
        sums: dict[int, tuple[int, int, float]] = {}
        before = 0
        for stage in self.stages:
            size, before = stage.characters - before, stage.characters
            number = min(most - 1, (stage.characters - 1) * most // total)
            _, characters, nats = sums.get(number, (0, 0, 0.0))
            sums[number] = stage.step, characters + size, nats + size * stage.train
        spans = (sums[number] for number in sorted(sums))
        return [Span(step, nats / characters) for step, characters, nats in spans if characters]

    def held_out(self) -> list[float]:
        """Return every held-out loss, in order."""
        return [stage.held_out for stage in self.stages if stage.held_out is not None]
