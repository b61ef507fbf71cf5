"""A chart of lines, however it is drawn: on a page, in a notebook, or with characters.

Standard library only. `charrnn_core.page.curves` draws a chart as SVG, `charrnn_core.console.curve`
with the dots of Braille.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """A point of a line, with what may be known of its height.

    Fields:
        x, y: where it is.
        low, high: an interval of y.
        text: what it stands for, in words.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Arguments:
        name: the label at its end; empty for none.
        points: by rising x.
        look: the number of its colour and dashes; lines that belong together share one.
        thin: whether it is in the background.
    """

    name: str
    points: Sequence[Point]
    look: int = 0
    thin: bool = False


@dataclass(frozen=True, kw_only=True)
class Level:
    """A height to compare lines with."""

    name: str
    y: float


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A single result, with its interval.

    Arguments:
        name: the label beside it; empty for none.
        point: where it is.
        look: as for `Line`.
    """

    name: str
    point: Point
    look: int = 0


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Arguments:
        title: what it shows, in a sentence, for those who cannot see it.
        x_name, y_name: the names of the axes.
        lines, levels, marks: what is in it.
        low, high: the heights that are shown; what is beyond is cut off.
    """

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    marks: Sequence[Mark] = ()
    low: float = 0.0
    high: float = 1.0

    @property
    def farthest(self) -> float:
        """The largest x, more than 0."""
        found = [point.x for line in self.lines for point in line.points]
        return max([*found, *(mark.point.x for mark in self.marks), 0.0]) or 1.0

    def labels(self) -> list[tuple[str, float, int | None]]:
        """Return the labels at the right: text, height, and look or None for a level."""
        ends = [(line.name, line.points[-1].y, line.look) for line in self.lines if line.points]
        marks = [(mark.name, mark.point.y, mark.look) for mark in self.marks]
        levels = [(level.name, level.y, None) for level in self.levels]
        return [label for label in (*ends, *marks, *levels) if label[0]]

    def within(self, y: float) -> float:
        """Return the nearest height that is shown."""
        return min(max(y, self.low), self.high)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two, evenly spaced.

    Arguments:
        low, high: the ends, low < high.
        most: the most of them, at least 2.

    >>> ticks(0, 196, 5), ticks(2.19, 4.52, 5)
    ([0, 50, 100, 150], [2.5, 3.0, 3.5, 4.0, 4.5])
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * n for n in (1, 2, 2.5, 5, 10, 20) if (high - low) / (power * n) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    found = [round(n * step, 12) for n in range(first, last + 1)]
    return [int(x) for x in found] if all(x == int(x) for x in found) else found


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart as little as needed, so that labels there do not overlap.

    Their order stays; where there is no room for all, they are evenly spaced.

    Arguments:
        places: where the labels would be.
        gap: the least distance between two.
        low, high: where the first and the last may be.

    >>> spread([5.0, 5.0, 1.0], 2.0, 0.0, 10.0)
    [4.0, 6.0, 1.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    gap = min(gap, (high - low) / max(1, len(places) - 1))
    # Groups of labels that touch; each is placed around the mean of where its labels would be.
    groups: list[tuple[list[float], float]] = []
    for i in order:
        wanted, at = [places[i]], 0.0
        while True:
            size = gap * (len(wanted) - 1)
            at = min(max(sum(wanted) / len(wanted) - size / 2, low), high - size)
            if not groups or groups[-1][1] + gap * len(groups[-1][0]) <= at + 1e-9:
                break
            wanted = groups.pop()[0] + wanted
        groups.append((wanted, at))
    moved = [at + gap * k for wanted, at in groups for k in range(len(wanted))]
    found = dict(zip(order, moved, strict=True))
    return [found[i] for i in range(len(places))]


def short(value: float) -> str:
    """Return the number at a tick.

    >>> short(0), short(2.5), short(1500), short(250000), short(2500000)
    ('0', '2.5', '1500', '250k', '2.5M')
    """
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1000 if suffix == 'k' else size):g}{suffix}"
    return f"{value:g}"
