"""What a training leaves, and what the user should see of it."""

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from charrnn_core.evaluation.diagnosis import diagnose
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.public import public
from charrnn_core.runs.course import Course
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.model import Model

_MUCH_OF_IT = 0.2
"""The share of a sitting's time from which its start-up is worth a word."""

_INCIDENTS = {
    "skip": "updates left out, in which something was not finite",
    "restart": "updates after which streams began afresh, for their carry was not finite",
}


@public
@dataclass(frozen=True)
class Trained:
    """What `train` and `resume` give back.

    Arguments:
        model: the trained model.
        directory: the run directory.
        held_out: the last evaluation of the held-out part; None if nothing was evaluated.
        reason: ``"finished"``, ``"stopped early"`` or ``"interrupted"``.
        best, best_step: the least held-out loss, and the update after which it was measured.
        course: how the losses of the whole run went.
        remarks: what else the user should know of this sitting, in lines.
    """

    model: Model
    directory: Path
    held_out: Evaluation | None
    reason: str
    best_step: int | None = None
    best: float | None = None
    course: Course | None = None
    remarks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What the user should see: the result, and what to do next."""
        directory = RunDirectory(self.directory)
        lines = [*self._result(), *self.remarks, f"run       {shlex.quote(str(self.directory))}"]
        if self.reason == "interrupted":
            return [*lines, f"go on     {directory.command('resume', self.directory)}"]
        if self.reason == "stopped early":
            lines.append(f"best      update {self.best_step}; use it with --best")
        return [
            *lines,
            f"sample    {directory.command('sample', self.directory, '--length', 500)}",
            f"evaluate  {directory.command('eval', self.directory)}",
        ]

    def _result(self) -> list[str]:
        course = self.course or Course(best=self.best, best_step=self.best_step)
        if self.held_out is None:
            found = diagnose(None, course=course)
            return [] if found is None else [found.line]
        first, *others = dataclasses.replace(self.held_out, course=course).lines()
        return [f"held-out  {first}", *others]


def describe_incidents(counts: Mapping[str, int]) -> list[str]:
    """How often something was not finite, by what was done then.

    >>> describe_incidents({"rollback": 1, "skip": 2})
    ['note: 2 updates left out, in which something was not finite: see incidents.jsonl']
    """
    return [
        f"note: {counts[action]:,} {what}: see incidents.jsonl"
        for action, what in _INCIDENTS.items()
        if counts.get(action)
    ]


def describe_time(start_up: float, seconds: float, updates: int, apart: bool) -> list[str]:
    """What of a sitting's time was start-up, if that is worth a word.

    Arguments:
        start_up: seconds up to the first update.
        seconds: of the whole sitting.
        updates: how many it made.
        apart: whether its budget began with the first update; then it is always said.

    >>> describe_time(12.0, 30.0, 17, False), describe_time(3.0, 30.0, 17, False)
    (['time      12 s of 30 s were start-up; 17 updates'], [])
    """
    made = f"{updates:,} update{'s' if updates != 1 else ''}"
    if apart:
        return [f"time      {start_up:.1f} s of start-up, then {seconds - start_up:.1f} s; {made}"]
    if start_up < _MUCH_OF_IT * seconds:
        return []
    return [f"time      {start_up:.0f} s of {seconds:.0f} s were start-up; {made}"]
