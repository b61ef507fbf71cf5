"""Diagnosis of a training that went wrong: the most likely cause, and what to do about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charrnn_core.runs.course import Course
from charrnn_core.terminal import number

_MUCH = 0.01
"""Nats per character by which an earlier evaluation must be better to be reported."""

_RISE = 0.1
"""A rise of the training loss, in nats, that means divergence; parts of a text differ by less."""

_ALONE = 0.5
"""The same if the held-out loss does not confirm it."""

_FALL = 0.05
"""A fall of the loss in the second half of a training, in nats, that means more is to be gained."""

_LAST_FALL = 0.03
"""The same for the last tenth."""

_GUESSING = 2.0
"""A loss above this multiple of uniform guessing means divergence; no network starts so high."""

Cause = Literal[
    "not finite",
    "divergence",
    "overfitting",
    "unsettled",
    "too little training",
    "too weak",
    "unknown",
]

_LOWER_THE_RATE = "lower the learning rate with --lr, or clip gradients with --optimizer-opt clip=1"
_MORE = "train longer with --chars, --minutes or --epochs"


@dataclass(frozen=True)
class Diagnosis:
    """The most likely cause of a bad result.

    Arguments:
        cause: one of the known causes.
        line: the message for the user.
    """

    cause: Cause
    line: str


def diagnose(
    held_out: float | None, better: Sequence[str] = (), course: Course | None = None
) -> Diagnosis | None:
    """Return what is wrong with a model, the worst of several causes, or None.

    Arguments:
        held_out: the model's loss on held-out text in nats per character; None if not measured.
        better: the names of the baselines that predict that text better.
        course: how training went, as far as it is known.

    >>> from charrnn_core.runs.course import Stage
    >>> course = Course([Stage(10, 1000, 3.0, 3.1), Stage(20, 2000, 4.5, 4.6)], 3.1, 10)
    >>> diagnose(4.6, ["unigram"], course).cause
    'divergence'
    """
    course = course or Course()
    best = _best_before(held_out, course)
    advice = f"{_LOWER_THE_RATE}; {best} was better" if best else _LOWER_THE_RATE
    if not all(math.isfinite(loss) for loss in (held_out, course.last) if loss is not None):
        fact = "the held-out loss is not finite: the model overflows"
        return Diagnosis("not finite", f"warning: {fact}; {advice}")
    if how := _diverged(course, confirmed=bool(best), losing=bool(better)):
        return Diagnosis("divergence", f"warning: training diverged: {how}; {advice}")
    if best:
        return _worse_since(best, course)
    if better:
        return _beaten_by("; ".join(better), course)
    if course.ended and (fall := _falls_at_the_end(course)) > _LAST_FALL:
        return Diagnosis(
            "too little training",
            "note: too little training: the held-out loss was still falling at the end, by "
            f"{fall:.3f} nats; {_MORE}",
        )
    return None


def _best_before(held_out: float | None, course: Course) -> str:
    """Return the best earlier update and its loss; empty if none was clearly better."""
    last = held_out if course.last is None else course.last  # only the same text compares
    if held_out is None or last is None or course.best is None or last <= course.best + _MUCH:
        return ""  # so that a loss of NaN is worse than any other
    return f"update {course.best_step} ({number(course.best, 4)} nats)"


def _diverged(course: Course, confirmed: bool, losing: bool) -> str:
    """Return how training diverged; empty if it did not.

    Arguments:
        confirmed: whether the held-out loss has risen too.
        losing: whether a baseline is better, so that even a rise that was made up for did harm.
    """
    losses = [span.train for span in course.spans()]
    if not losses:
        return ""
    limit = _RISE if confirmed else _ALONE
    for end in [losses[-1], *(losses if losing else [])]:
        least = min(losses[: losses.index(end) + 1])
        if not end <= least + limit:
            return f"the training loss rose from {number(least, 3)} to {number(end, 3)} nats"
    guessing = math.log(course.symbols) if course.symbols else math.inf
    worst = max(losses) if losing else losses[-1]
    if worst > _GUESSING * guessing:
        return f"the training loss was {number(worst, 3)} nats; guessing costs {guessing:.3f}"
    return ""


def _worse_since(best: str, course: Course) -> Diagnosis:
    """Diagnose a held-out loss that has risen since its best update."""
    spans = course.spans()
    until = [span for span in spans if span.step <= (course.best_step or 0)] or spans[:1]
    if not spans or spans[-1].train < until[-1].train:
        return Diagnosis(
            "overfitting",
            f"note: the training has been overfitting since {best}: train less, or add dropout",
        )
    return Diagnosis(
        "unsettled",
        f"note: {best} was better, and the training loss has not fallen since: lower the learning "
        "rate with --lr",
    )


def _beaten_by(better: str, course: Course) -> Diagnosis:
    """Diagnose a model that is worse than the baselines of these names."""
    fact = f"warning: a baseline beats the model ({better})"
    losses = [span.train for span in course.spans()]
    if not losses:
        return Diagnosis(
            "unknown",
            f"{fact}; likely causes: too little training, an unsuitable learning rate, or too "
            "small a model",
        )
    if len(losses) < 2 or losses[len(losses) // 2 - 1] - losses[-1] > _FALL or not course.ended:
        return Diagnosis("too little training", f"{fact}: it has had too little training; {_MORE}")
    return Diagnosis(
        "too weak",
        f"{fact}, and its loss has stopped falling: use a larger model with --params, or another "
        "learning rate with --lr",
    )


def _falls_at_the_end(course: Course) -> float:
    """Return by how many nats both losses fell in the last tenth of a training."""
    losses, held_out = [span.train for span in course.spans()], course.held_out()
    if len(losses) < 3 or len(held_out) < 3:
        return 0.0
    return min(losses[-2] - losses[-1], held_out[-2] - held_out[-1])
