"""The events of a training, which observers receive. Standard library only."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """Where the wall-clock time of a run has gone, in seconds; a resumed run counts on.

    Arguments:
        start_up: from the start of the process to the first update, compilation included; the sum
            over the processes of a run that was resumed.
        updates: updates, and preparing their batches.
        evaluation: scoring held-out text, and at the end waiting for the baselines.
        samples: writing samples.
        checkpoints: saving checkpoints.
        other: everything else, such as observers.

    >>> spent = TimeSpent(start_up=2.0, updates=57.0, evaluation=1.0)
    >>> spent.total, spent.line()
    (60.0, '60.0 s: updates 57.0 (95 %), start-up 2.0, evaluation 1.0')
    """

    start_up: float = 0.0
    updates: float = 0.0
    evaluation: float = 0.0
    samples: float = 0.0
    checkpoints: float = 0.0
    other: float = 0.0

    @property
    def total(self) -> float:
        """All of the time."""
        return sum(asdict(self).values())

    def table(self) -> dict[str, float]:
        """Return the plain form, for JSON: the names of the fields with ``_seconds`` added."""
        return {f"{name}_seconds": round(seconds, 3) for name, seconds in asdict(self).items()}

    def line(self) -> str:
        """Return a line for the user: updates first, and what took at least a tenth of a second."""
        parts = {name.replace("_", "-"): seconds for name, seconds in asdict(self).items()}
        share = parts.pop("updates") / max(self.total, 1e-9)
        others = [f"{name} {seconds:.1f}" for name, seconds in parts.items() if seconds >= 0.05]
        updates = f"updates {self.updates:.1f} ({share:.0%})".replace("%)", " %)")
        return f"{self.total:.1f} s: {', '.join([updates, *others])}"


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
        scored_characters: how many of the held-out characters are scored while it learns.
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
    scored_characters: int = 0


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """Updates were made (``on_step``).

    Arguments:
        step: updates so far.
        epoch: passes over the training text so far, with a fraction.
        characters: characters trained on so far.
        train_nats_per_char: mean loss over the characters since the last such event.
        held_out_nats_per_char: loss on the held-out text that is scored while it learns, if it was
            measured at this very step.
        characters_per_second: training speed since the last such event.
        progress: share of the budget used, 0 to 1.
        seconds_left: estimated time until the budget is used up.
        spent: where the time of the run has gone so far.
        held_out_interval: the middle 95 % of that loss, see
            `charrnn_core.evaluation.report.Tally`; None if it is not known.
    """

    step: int
    epoch: float
    characters: int
    train_nats_per_char: float
    held_out_nats_per_char: float | None
    characters_per_second: float
    progress: float
    seconds_left: float
    spent: TimeSpent = TimeSpent()
    held_out_interval: tuple[float, float] | None = None

    def table(self) -> dict[str, Any]:
        """Return the row of the metrics log, for JSON, which has no NaN.

        What is not finite is left out, like what was not measured.

        >>> row = Stepped(step=9, epoch=0.5, characters=90, train_nats_per_char=2.0,
        ...               held_out_nats_per_char=math.nan, characters_per_second=45.0,
        ...               progress=0.5, seconds_left=2.0).table()
        >>> list(row)[:5]
        ['step', 'epoch', 'characters', 'train_nats_per_char', 'characters_per_second']
        """
        row: dict[str, float | None] = {
            "step": self.step,
            "epoch": round(self.epoch, 6),
            "characters": self.characters,
            "train_nats_per_char": self.train_nats_per_char,
            "held_out_nats_per_char": self.held_out_nats_per_char,
            "characters_per_second": round(self.characters_per_second, 1),
            **self.spent.table(),
        }
        known: dict[str, Any] = {
            key: value for key, value in row.items() if value is not None and math.isfinite(value)
        }
        interval = self.held_out_interval
        if interval is not None and all(map(math.isfinite, interval)):
            known["held_out_interval"] = list(interval)
        return known


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Held-out text was scored (``on_eval``): the same part of it each time while it learns."""

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

    Arguments:
        step: updates made.
        reason: ``"finished"``, ``"stopped early"``, ``"interrupted"`` or ``"failed"``.
        held_out_nats_per_char: the loss of the best model on held-out text; on all of it unless
            training was interrupted. The last one on the excerpt if training failed.
        seconds: the time of the whole run.
        directory: the run directory.
        spent: where that time has gone.
    """

    step: int
    reason: str
    held_out_nats_per_char: float | None
    seconds: float
    directory: Path
    spent: TimeSpent = TimeSpent()


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
