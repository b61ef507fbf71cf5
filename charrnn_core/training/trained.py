"""The result of a training, and the lines that report it."""

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

_NOTABLE_SHARE = 0.2
"""The share of a session's time from which its start-up is worth mentioning."""

_INCIDENTS = {
    "skip": "updates skipped because something in them was not finite",
    "restart": "updates after which streams were restarted because their carry was not finite",
}


@public
@dataclass(frozen=True)
class Trained:
    """What `train` and `resume` return.

    Arguments:
        model: the trained model.
        directory: the run directory.
        held_out: the last evaluation of the held-out part; None if nothing was evaluated.
        reason: ``"finished"``, ``"stopped early"`` or ``"interrupted"``.
        best, best_step: the lowest held-out loss, and the update after which it was measured.
        course: the losses of the whole run.
        remarks: other things the user should know about this session, in lines.
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
        """Return what the user should see: the result, and what to do next."""
        directory = RunDirectory(self.directory)
        lines = [*self._result(), *self.remarks, f"run       {shlex.quote(str(self.directory))}"]
        if self.reason == "interrupted":
            return [*lines, f"resume    {directory.command('resume', self.directory)}"]
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
    """Describe how often something was not finite, given counts by `Incident.action`.

    >>> describe_incidents({"rollback": 1, "skip": 2})
    ['note: 2 updates skipped because something in them was not finite; see incidents.jsonl']
    """
    return [
        f"note: {counts[action]:,} {what}; see incidents.jsonl"
        for action, what in _INCIDENTS.items()
        if counts.get(action)
    ]


def describe_time(start_up: float, seconds: float, updates: int, apart: bool) -> list[str]:
    """Describe how much of a session's time was start-up, if that is worth mentioning.

    Arguments:
        start_up: seconds up to the first update.
        seconds: seconds of the whole session.
        updates: how many updates it made.
        apart: whether the budget counted from the first update; then start-up is always mentioned.

    >>> describe_time(12.0, 30.0, 17, False), describe_time(3.0, 30.0, 17, False)
    (['time      12 s of 30 s were start-up; 17 updates'], [])
    """
    made = "1 update" if updates == 1 else f"{updates:,} updates"
    if apart:
        return [f"time      {start_up:.1f} s of start-up, then {seconds - start_up:.1f} s; {made}"]
    if start_up < _NOTABLE_SHARE * seconds:
        return []
    return [f"time      {start_up:.0f} s of {seconds:.0f} s were start-up; {made}"]
