"""The events of a training, which observers receive. Standard library only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Started:
    """Training begins (``on_start``).

    Arguments:
        directory: the run directory.
        config: the resolved configuration as a plain table.
        parameters: the number of trained parameters.
        symbols: the size of the alphabet.
        train_characters, held_out_characters: the lengths of the parts of the text.
        notes: lines for the user, such as that the window was shrunk.
        unroll: how the time steps run and why, in one line.
        step: updates made so far; more than 0 when training resumes.
    """

    directory: Path
    config: Mapping[str, Any]
    parameters: int
    symbols: int
    train_characters: int
    held_out_characters: int
    notes: tuple[str, ...] = ()
    unroll: str = ""
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """Updates were made (``on_step``).

    Arguments:
        step: updates so far.
        epoch: passes over the training text so far, with a fraction.
        characters: characters trained on so far.
        train_nats_per_char: mean loss over the characters since the last such event.
        held_out_nats_per_char: loss on held-out text, if it was measured at this very step.
        characters_per_second: training speed since the last such event.
        progress: share of the budget used, 0 to 1.
        seconds_left: estimated time until the budget is used up.
    """

    step: int
    epoch: float
    characters: int
    train_nats_per_char: float
    held_out_nats_per_char: float | None
    characters_per_second: float
    progress: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Held-out text was scored (``on_eval``)."""

    step: int
    epoch: float
    nats_per_char: float
    bits_per_char: float


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """The model wrote some text (``on_sample``)."""

    step: int
    epoch: float
    prompt: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something in an update was not finite (``on_incident``).

    An update is discarded if its loss or gradient is not finite, or if it leaves a parameter or the
    optimizer's state not finite. If only the carry of some streams is not finite after it, the
    update is kept, unless training stops.

    Arguments:
        step: the number of the update, made or discarded.
        epoch: passes over the training text so far, with a fraction.
        positions: where each stream's window begins, in characters of the training text.
        nats_per_char: its loss.
        gradient_norms: the norm of its gradient by parameter; empty after ``"skip"`` and
            ``"restart"``.
        action: the reaction: ``"stop"``, ``"skip"``, ``"rollback"``, or ``"restart"`` of streams
            after an update that was kept.
        streams: the streams whose carry was not finite, counted from 0.
    """

    step: int
    epoch: float
    positions: tuple[int, ...]
    nats_per_char: float
    gradient_norms: Mapping[str, float]
    action: str
    streams: tuple[int, ...] = ()

    def cause(self) -> str:
        """Return what was not finite."""
        if not math.isfinite(self.nats_per_char):
            return "the loss or its gradient"
        if self.streams:
            return f"the carry of {len(self.streams)} of {len(self.positions)} streams"
        return "the gradient, a parameter or the optimizer's state"

    def line(self) -> str:
        """Return a line that describes the incident to the user.

        >>> Incident(step=3, epoch=0.1, positions=(0, 9), nats_per_char=1.5, gradient_norms={},
        ...          action="restart", streams=(1,)).line()
        'update 3: the carry of 1 of 2 streams is not finite: resetting these streams'
        """
        actions = {"restart": "resetting these streams", "skip": "skipping the update"}
        did = actions.get(self.action, self.action)
        return f"update {self.step:,}: {self.cause()} is not finite: {did}"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint was written (``on_checkpoint``)."""

    step: int
    path: Path


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Training ends (``on_end``).

    `reason` is ``"finished"``, ``"stopped early"``, ``"interrupted"`` or ``"failed"``.
    """

    step: int
    reason: str
    held_out_nats_per_char: float | None
    seconds: float
    directory: Path


Event = Started | Stepped | Evaluated | Sampled | Incident | Saved | Ended

METHODS: dict[type, str] = {
    Started: "on_start",
    Stepped: "on_step",
    Evaluated: "on_eval",
    Sampled: "on_sample",
    Incident: "on_incident",
    Saved: "on_checkpoint",
    Ended: "on_end",
}
"""The name of the observer's method for each event."""


def notify(observer: Any, event: Event) -> None:
    """Call the observer's method for this event, if it has one.

    >>> class Bell:
    ...     def on_checkpoint(self, event): print("saved", event.path.name)
    >>> notify(Bell(), Saved(step=1, path=Path("runs/a/1.crn")))
    saved 1.crn
    """
    method = getattr(observer, METHODS[type(event)], None)
    if method is not None:
        method(event)
