"""The result of a training, and the lines that report it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn_core.chart import Chart
from charrnn_core.evaluation.diagnosis import diagnose
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.events import TimeSpent
from charrnn_core.page.curves import svg
from charrnn_core.page.frame import escaped
from charrnn_core.public import public
from charrnn_core.runs.course import Course
from charrnn_core.runs.curves import Curve, chart
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.model import Model
from charrnn_core.runs.overview import spec
from charrnn_core.terminal import number, printable
from charrnn_core.training.policy import Policy

_INCIDENTS = {
    "skip": "updates skipped because something in them was not finite",
    "restart": "updates after which streams were restarted because their carry was not finite",
}


@public
@dataclass(frozen=True)
class Trained:
    """What `train` and `resume` return.

    Arguments:
        model: the best of its models, as `charrnn_core.load` reads it.
        directory: the run directory.
        held_out: the evaluation of all of the held-out part at the end; None if nothing was
            evaluated, and the last one of an excerpt if training was interrupted.
        reason: ``"finished"``, ``"stopped early"`` or ``"interrupted"``.
        best, best_step: the loss of that model on the held-out text that is scored while it learns,
            and the update after which it was measured.
        course: the losses of the whole run.
        remarks: other things the user should know about this session, in lines.
        updates: the updates of the whole run.
        spent: where the time of the whole run has gone.
        history: the rows of ``metrics.jsonl``, those of the whole run; none without the observer
            ``jsonl``.
    """

    model: Model
    directory: Path
    held_out: Evaluation | None
    reason: str
    best_step: int | None = None
    best: float | None = None
    course: Course | None = None
    remarks: tuple[str, ...] = ()
    updates: int = 0
    spent: TimeSpent = TimeSpent()
    history: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        """Return what came of it, on one line."""
        result = ""
        if (found := self.held_out) is not None:
            nats, bits = (number(each, 4) for each in (found.nats_per_char, found.bits_per_char))
            result = f", held-out {nats} nats, {bits} bits per {found.symbol}"
        cell, size = spec(self.model.config.cell.table()), f"{self.model.parameters:,} parameters"
        what = f"{cell} with {size}, {self.reason}, {self._made()}"
        return f"<Trained {self.directory}: {what}{result}>"

    def lines(self) -> list[str]:
        """Return what the user should see: the result, and what to do next."""
        return [*self._result(), *self.remarks, *self._next()]

    def curve(self) -> Chart | None:
        """Return the learning curve; None if nothing was measured."""
        course = self.course or Course()
        if self.held_out is None:
            return chart([Curve(course=course)])
        held_out = replace(self.held_out, course=course)
        return chart([held_out.curve(is_whole=self.reason != "interrupted")])

    def _next(self) -> list[str]:
        """Return what the training took, where it is, and what to do with it."""
        directory = RunDirectory(self.directory)
        lines = [
            f"time      {self.spent.line()}; {self._made()}",
            f"run       {shlex.quote(str(self.directory))}",
        ]
        if self.reason == "interrupted":
            return [*lines, f"resume    {directory.command('resume', self.directory)}"]
        return [
            *lines,
            f"sample    {directory.command('sample', self.directory, '--length', 500)}",
            f"evaluate  {directory.command('eval', self.directory)}",
            f"report    {directory.command('report', self.directory)}",
            f"export    {directory.command('export', self.directory)}",
        ]

    def _made(self) -> str:
        return "1 update" if self.updates == 1 else f"{self.updates:,} updates"

    def _repr_html_(self) -> str:
        """Return the result and the learning curve for a notebook."""
        drawn, held_out = self.curve(), self.held_out
        result = "" if held_out is None else replace(held_out, course=self.course)._repr_html_()
        lines = "\n".join([*self.remarks, *self._next()])
        return (
            f"<div>{'' if drawn is None else svg(drawn)}{result}"
            f"<pre>{escaped(printable(lines))}</pre></div>"
        )

    def _result(self) -> list[str]:
        course = self.course or Course(best=self.best, best_step=self.best_step)
        if self.held_out is None:
            found = diagnose(None, course=course)
            return [] if found is None else [found.line]
        first, *others = replace(self.held_out, course=course).lines()
        return [f"held-out  {first}", *others]


def describe_stop(loop: LoopState, policy: Policy, used: float) -> list[str]:
    """Say why a training was stopped early, and how to train on.

    Arguments:
        loop, policy: the state that it ended in, and its policy.
        used: the share of the budget that was used.

    >>> loop = LoopState(status="stopped early", stale=3)
    >>> describe_stop(loop, Policy(patience=3), 0.5)
    ['note: stopped early, with 50 % of the budget left: 3 evaluations without a new best']
    """
    if loop.status != "stopped early":
        return []
    why = f"{loop.stale:,} evaluations without a new best"
    if policy.patience is None:
        why = "it was overfitting; --patience 0 trains to the end"
    return [f"note: stopped early, with {100 * (1 - used):.0f} % of the budget left: {why}"]


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
