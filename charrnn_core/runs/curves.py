"""The learning curves of runs as a chart: held-out and training loss, and what counting reaches."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from charrnn_core.chart import Chart, Level, Line, Mark, Point
from charrnn_core.runs.course import Course, Stage
from charrnn_core.terminal import number

AXES = ("updates", "characters", "minutes")
"""What a learning curve can be drawn over."""

_MOST_POINTS = 240
"""The most points of a line; more are averaged."""

MOST_WITH_TRAINING, MOST_WITH_INTERVALS = 8, 4
"""How many runs a chart may have that shows their training losses, and intervals."""

_MOST_BITS = 64.0
_STEEP = 1.6
_ROOM = 0.06
_FARTHEST = 2**53


@dataclass(frozen=True, kw_only=True)
class Result:
    """A loss on all of the held-out text.

    Arguments:
        nats: per character.
        interval: the middle 95 % of it, if that is known.
        step: the update that the model is from.
    """

    nats: float
    interval: tuple[float, float] | None = None
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What is drawn of a run.

    Arguments:
        course: its losses.
        name: the run.
        levels: the losses of what it is compared with, in nats per character, by name.
        result: its loss on all of the held-out text, once it has ended.
        look: the number of its colour.
        unit: ``"character"`` or ``"byte"``.
    """

    course: Course
    name: str = ""
    levels: dict[str, float] = field(default_factory=dict)
    result: Result | None = None
    look: int = 0
    unit: str = "character"

    @property
    def has_result(self) -> bool:
        """Whether there is a result that can be drawn."""
        return self.result is not None and math.isfinite(self.result.nats / math.log(2))


def chart(curves: Sequence[Curve], by: str = "updates", most: int = _MOST_POINTS) -> Chart | None:
    """Return the learning curves of runs in bits, or None if nothing has been measured.

    Losses that are not finite are left out. A curve falls steeply at first; what is much above the
    rest is cut off. Many runs are drawn without training losses and intervals.

    Arguments:
        curves: the runs.
        by: one of `AXES`.
        most: the most points of a line.

    >>> from charrnn_core.runs.course import Stage
    >>> drawn = chart([Curve(course=Course([Stage(1, 100, 3.0), Stage(2, 200, 2.0, 2.5)]))])
    >>> [line.name for line in drawn.lines], drawn.x_name
    (['training', 'held-out'], 'updates')
    """
    alone = len(curves) == 1
    lines = [line for curve in curves for line in _lines(curve, by, most, len(curves))]
    marks = [mark for curve in curves for mark in _marks(curve, by, alone)]
    if len(curves) > MOST_WITH_INTERVALS:
        lines = [replace(line, points=list(map(_plain, line.points))) for line in lines]
    if not any(line.points for line in lines) and not marks:
        return None
    levels = list(_levels(curves))
    low, high = _heights(lines, levels, marks)
    return Chart(
        title=_title(curves, by),
        x_name=by,
        y_name=f"bits per {curves[0].unit}",
        lines=lines,
        levels=levels,
        marks=marks,
        low=low,
        high=high,
    )


def _lines(curve: Curve, by: str, most: int, runs: int) -> Iterator[Line]:
    """Yield the line of the training loss and, above it, that of the held-out loss."""
    alone, placed = runs == 1, list(_placed(curve, by))
    if runs <= MOST_WITH_TRAINING:
        points = [Point(x, stage.train / math.log(2)) for stage, x in placed]
        name = "training" if alone else ""
        yield Line(name=name, points=_shown(points, most), look=curve.look + alone, thin=True)
    points = [
        _point(x, stage.held_out, stage.interval, f"update {stage.step:,}")
        for stage, x in placed
        if stage.held_out is not None
    ]
    name = "" if curve.has_result else "held-out" if alone else curve.name
    yield Line(name=name, points=_shown(points, most), look=curve.look)


def _marks(curve: Curve, by: str, alone: bool) -> Iterator[Mark]:
    """Yield the result on all of the held-out text."""
    result = curve.result
    if result is None or not curve.has_result:
        return
    placed = list(_placed(curve, by))
    xs = [x for stage, x in placed if result.step is None or stage.step <= result.step]
    if placed:
        x = xs[-1] if xs else placed[0][1]
        point = _point(x, result.nats, result.interval, "all of the held-out text")
        yield Mark(name="held-out" if alone else curve.name, point=point, look=curve.look)


def _point(x: float, nats: float, interval: tuple[float, float] | None, what: str) -> Point:
    bits = nats / math.log(2)
    text, ends = f"{what}: {number(bits, 3)} bits", [end / math.log(2) for end in interval or ()]
    if not ends or not all(map(math.isfinite, ends)):
        return Point(x, bits, text=text)
    low, high = ends
    return Point(x, bits, low, high, f"{text}, {number(low, 3)} to {number(high, 3)}")


def _plain(point: Point) -> Point:
    """Return a point without its interval and its words."""
    return Point(point.x, point.y)


def _placed(curve: Curve, by: str) -> Iterator[tuple[Stage, float]]:
    """Yield the stages of a run, each with its place on an axis, if it has one there."""
    for stage in curve.course.stages:
        if by == "minutes":
            x = math.nan if stage.seconds is None else round(stage.seconds / 60, 6)
        else:
            x = stage.step if by == "updates" else stage.characters
        if 0 <= x <= _FARTHEST:
            yield stage, float(x)


def _shown(points: Iterable[Point], most: int) -> list[Point]:
    """Return at most so many points that are finite.

    Each but the first and the last stands for its neighbours.
    """
    points = [point for point in points if math.isfinite(point.y)]
    if len(points) <= most:
        return points
    edges = [round(i * (len(points) - 2) / (most - 2)) + 1 for i in range(most - 1)]
    groups = [points[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]
    return [points[0], *map(_mean, groups), points[-1]]


def _mean(points: list[Point]) -> Point:
    middle = points[len(points) // 2]
    if middle.text:  # it is one evaluation
        return middle
    return middle._replace(y=sum(point.y for point in points) / len(points))


def _levels(curves: Sequence[Curve]) -> Iterator[Level]:
    """Yield each baseline once; runs on different texts have their own."""
    by_name: dict[str, dict[str, list[str]]] = {}
    for curve in curves:
        for name, nats in curve.levels.items():
            if math.isfinite(bits := nats / math.log(2)):
                same = by_name.setdefault(name, {}).setdefault(number(bits, 3), [])
                same.append(curve.name)
    for name, values in by_name.items():
        for bits, whose in values.items():
            label = f"{name} ({', '.join(whose)})" if len(values) > 1 else name
            yield Level(name=label, y=float(bits))


def _heights(
    lines: Iterable[Line], levels: Iterable[Level], marks: Iterable[Mark]
) -> tuple[float, float]:
    """Return the heights to show: everything, but for the beginning of a steep fall."""
    ys = sorted(_bounded(point.y) for line in lines for point in line.points)
    others = [_bounded(y) for y in (*(x.y for x in levels), *(mark.point.y for mark in marks))]
    lowest = min([*ys[:1], *others])
    typical = max([*ys[: max(1, round(0.9 * len(ys)))][-1:], *others])
    highest = min(max([*ys[-1:], *others]), lowest + _STEEP * (typical - lowest))
    room = _ROOM * (highest - lowest) or 0.1
    return lowest - room, highest + room


def _bounded(bits: float) -> float:
    return min(max(bits, -_MOST_BITS), _MOST_BITS)


def _title(curves: Sequence[Curve], by: str) -> str:
    """Say what is drawn, with the last loss of each run."""
    parts = []
    for curve in curves:
        losses = [nats for nats in curve.course.held_out() if math.isfinite(nats)]
        nats = curve.result.nats if curve.result else losses[-1] if losses else math.nan
        name = f"{curve.name}: " if curve.name else ""
        known = math.isfinite(nats)
        parts.append(f"{name}{number(nats / math.log(2), 3)} bits" if known else f"{name}no result")
    return f"Loss over {by}; held-out at the end: {'; '.join(parts)}"
