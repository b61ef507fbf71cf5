"""What is wrong with a training, if something is: the one likeliest cause, and what to do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charrnn_core.runs.course import Course
from charrnn_core.terminal import number

_MUCH = 0.01
"""Nats per character by which a better evaluation is worth a word."""

_RISE = 0.1
"""Nats by which the training loss rises when training diverges; parts of a text differ by less."""

_ALONE = 0.5
"""The same where no held-out loss confirms it."""

_FALL = 0.05
"""Nats by which the second half of a training lowers its loss when there is more to gain."""

_LAST_FALL = 0.03
"""The same for its last tenth."""

_GUESSING = 2.0
"""No network begins with a loss of so many times what guessing has."""

Cause = Literal[
    "not finite", "divergence", "overfitting", "unsettled", "too little training", "too weak",
    "unknown",
]  # fmt: skip

_LOWER_THE_RATE = "lower the learning rate with --lr, or clip gradients with --optimizer-opt clip=1"
_MORE = "give it more with --chars, --minutes or --epochs"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong.

    Arguments:
        cause: which of the causes that are told apart.
        line: what the user should see.
    """

    cause: Cause
    line: str


def diagnose(
    held_out: float | None, better: Sequence[str] = (), course: Course | None = None
) -> Diagnosis | None:
    """Tell what is wrong with a model, if something is; of several causes the worst.

    Arguments:
        held_out: the model's loss on held-out text in nats per character; None if there is none.
        better: the names of what predicts that text better, such as counted n-grams.
        course: how training went, as far as that is known.

    >>> from charrnn_core.runs.course import Stage
    >>> course = Course([Stage(10, 1000, 3.0, 3.1), Stage(20, 2000, 4.5, 4.6)], 3.1, 10)
    >>> diagnose(4.6, ["unigram"], course).cause
    'divergence'
    """
    course = course or Course()
    before = _better_before(held_out, course)
    advice = f"{_LOWER_THE_RATE}; {before}: use --best" if before else _LOWER_THE_RATE
    if held_out is not None and not math.isfinite(held_out):
        fact = "the held-out loss is not a number, for the model overflows"
        return Diagnosis("not finite", f"warning: {fact}; {advice}")
    if how := _diverged(course, confirmed=bool(before), losing=bool(better)):
        return Diagnosis("divergence", f"warning: training diverged: {how}; {advice}")
    if before:
        return _worse_since(before, course)
    if better:
        return _loses("; ".join(better), course)
    if course.ended and (fall := _falls_at_the_end(course)) > _LAST_FALL:
        return Diagnosis(
            "too little training",
            f"note: too little training: the held-out loss still fell by {fall:.3f} nats in the "
            f"end; {_MORE}",
        )
    return None


def _better_before(held_out: float | None, course: Course) -> str:
    """That an earlier update was better, if one was."""
    if held_out is None or course.best is None or held_out <= course.best + _MUCH:
        return ""  # a loss that is not a number is no better than any
    return f"update {course.best_step} was better, {number(course.best, 4)} nats"


def _diverged(course: Course, confirmed: bool, losing: bool) -> str:
    """How training diverged, if it did.

    Arguments:
        confirmed: whether the held-out loss has risen too.
        losing: whether counting is better, so that a rise cost something even if it is made up for.
    """
    losses = [span.train for span in course.spans()]
    if not losses:
        return ""
    limit = _RISE if confirmed else _ALONE
    for end in [losses[-1], *(losses if losing else [])]:
        least = min(losses[: losses.index(end) + 1])
        if not end <= least + limit:
            return f"its training loss rose from {number(least, 3)} to {number(end, 3)} nats"
    guessing = math.log(course.symbols) if course.symbols else math.inf
    worst = max(losses) if losing else losses[-1]
    if worst > _GUESSING * guessing:
        return f"its training loss was {number(worst, 3)} nats, and guessing has {guessing:.3f}"
    return ""


def _worse_since(before: str, course: Course) -> Diagnosis:
    """What to say of a held-out loss that has risen while the training loss has not."""
    spans = course.spans()
    until = [span for span in spans if span.step <= (course.best_step or 0)] or spans[:1]
    if not spans or spans[-1].train < until[-1].train:
        return Diagnosis(
            "overfitting",
            f"note: {before}; since then the model learns the training text by heart: use --best, "
            "or train less, with more dropout, or with --patience",
        )
    return Diagnosis(
        "unsettled",
        f"note: {before}; since then the training loss has not fallen either: use --best, or "
        "lower the learning rate with --lr",
    )


def _loses(better: str, course: Course) -> Diagnosis:
    """What to say of a model that counting outdoes."""
    fact = f"warning: the model loses to counting ({better})"
    losses = [span.train for span in course.spans()]
    if not losses:
        return Diagnosis(
            "unknown",
            f"{fact}; the likeliest causes: too little training, a learning rate that does not "
            "fit, or a model that is too small",
        )
    if len(losses) < 2 or losses[len(losses) // 2 - 1] - losses[-1] > _FALL or not course.ended:
        return Diagnosis("too little training", f"{fact}: it has had too little training; {_MORE}")
    return Diagnosis(
        "too weak",
        f"{fact}, and its loss no longer falls: use a larger one with --params, or another "
        "learning rate with --lr",
    )


def _falls_at_the_end(course: Course) -> float:
    """By how many nats both losses fell in the last tenth of a training."""
    losses, held_out = [span.train for span in course.spans()], course.held_out()
    if len(losses) < 3 or len(held_out) < 3:
        return 0.0
    return min(losses[-2] - losses[-1], held_out[-2] - held_out[-1])
