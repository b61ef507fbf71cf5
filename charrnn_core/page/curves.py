"""A chart as SVG, which needs no style sheet, so that a notebook can show it too."""

from collections.abc import Iterable

from charrnn_core.chart import Chart, Line, Mark, short, spread, ticks
from charrnn_core.page.frame import escaped

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7500", "#6b7280")
_DASHES = ("", "8 4", "2 3", "10 3 2 3", "14 5", "5 2 1 2 1 2")
_LETTER = 6.6
"""About how wide a letter is, in a font of 12."""

_ROW, _LEFT, _TOP, _BOTTOM, _END = 14.0, 44.0, 24.0, 38.0, 8.0
_MOST_MARKED = 40
"""The points of a line are marked, up to so many."""


def svg(chart: Chart, width: int = 720, height: int = 340) -> str:
    """Draw a chart.

    Lines are told apart by colour and by dashes, and named at their ends. It is as wide as its
    place; fonts have their size where that is `width` pixels.

    Arguments:
        chart: the chart.
        width, height: of the drawing; a narrow one has fewer ticks and shorter labels.

    >>> from charrnn_core.chart import Point
    >>> line = Line(name="held-out", points=[Point(1, 3.0), Point(2, 2.5)])
    >>> drawn = svg(Chart(title="Loss", x_name="updates", y_name="bits", lines=[line], high=4.0))
    >>> drawn.startswith('<svg viewBox="0 0 720 340"'), "held-out</text>" in drawn
    (True, True)
    """
    return _Drawing(chart, width, height).svg()


class _Drawing:
    """A chart at a size."""

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self._chart, self._width, self._height = chart, width, height
        longest = max((len(text) for text, _, _ in chart.labels()), default=0)
        self._letters = min(longest, int(0.34 * width / _LETTER))
        right = self._letters * _LETTER + 2 * _END
        self._plot_width = width - _LEFT - right
        self._plot_height = height - _TOP - _BOTTOM

    def svg(self) -> str:
        chart = self._chart
        size = f'viewBox="0 0 {self._width} {self._height}" width="{self._width}"'
        style = 'style="max-width:100%;height:auto" font-family="system-ui, sans-serif"'
        inside = f'x="{_LEFT}" y="{_TOP}" width="{_px(self._plot_width)}"'
        return "".join([
            f'<svg {size} {style} font-size="12" role="img" aria-label="{escaped(chart.title)}">',
            *self._axes(),
            f'<svg {inside} height="{_px(self._plot_height)}">',
            *(self._level(level.y) for level in chart.levels),
            *(part for line in chart.lines for part in self._line(line)),
            "</svg>",
            *(self._mark(mark) for mark in chart.marks),
            *self._labels(),
            "</svg>",
        ])  # fmt: skip

    # Places inside the plot, from its upper left corner.

    def _x(self, x: float) -> float:
        return self._plot_width * x / self._chart.farthest

    def _y(self, y: float) -> float:
        low, high = self._chart.low, self._chart.high
        bounded = min(max(y, low - 2 * (high - low)), high + 2 * (high - low))
        return self._plot_height * (high - bounded) / (high - low)

    def _at(self, x: float, y: float) -> str:
        return f"{_px(self._x(x))},{_px(self._y(y))}"

    # Parts.

    def _axes(self) -> Iterable[str]:
        chart, right = self._chart, _LEFT + self._plot_width
        for y in ticks(chart.low, chart.high, max(2, int(self._plot_height / 45))):
            at = _TOP + self._y(y)
            yield _rule(_LEFT, at, right, at, "0.15")
            yield _text(_LEFT - 6, at + 4, short(y), "end")
        bottom = _TOP + self._plot_height
        yield _rule(_LEFT, bottom, right, bottom, "0.6")
        for x in ticks(0, chart.farthest, max(2, int(self._plot_width / 80))):
            at = _LEFT + self._x(x)
            yield _rule(at, bottom, at, bottom + 4, "0.6")
            yield _text(at, bottom + 17, short(x), "middle")
        yield _text(_LEFT + self._plot_width / 2, bottom + 33, chart.x_name, "middle")
        yield _text(0, _TOP - 12, chart.y_name, "start")

    def _level(self, y: float) -> str:
        at = self._y(y)
        dashes = ' stroke-dasharray="1 4" stroke-width="1.5"'
        return _rule(0, at, self._plot_width, at, "0.8", dashes)

    def _line(self, line: Line) -> Iterable[str]:
        points = [point for point in line.points if point.low is not None]
        if len(points) > 1:
            above = [self._at(point.x, point.high or 0.0) for point in points]
            below = [self._at(point.x, point.low or 0.0) for point in reversed(points)]
            area = f'<polygon points="{" ".join([*above, *below])}"'
            yield f'{area} style="fill:{_colour(line.look)};opacity:0.18"/>'
        if len(line.points) > 1:
            path = " ".join(self._at(point.x, point.y) for point in line.points)
            how = "stroke-width:1;opacity:0.75" if line.thin else "stroke-width:2"
            yield (
                f'<polyline points="{path}" style="fill:none;stroke:{_colour(line.look)};{how}"'
                f"{_dashes(line.look)}/>"
            )
        if len(line.points) <= (_MOST_MARKED if not line.thin else 1):
            yield from self._dots(line)

    def _dots(self, line: Line) -> Iterable[str]:
        """Mark the points: with their words, or all at once."""
        if not any(point.text for point in line.points):
            dots = "".join(f"M{self._at(point.x, point.y)}h0" for point in line.points)
            round_ = "stroke-width:5;stroke-linecap:round"
            yield f'<path d="{dots}" style="stroke:{_colour(line.look)};{round_}"/>'
            return
        for point in line.points:
            x, y = self._x(point.x), self._y(point.y)
            place = f'cx="{_px(x)}" cy="{_px(y)}" r="2.5" style="fill:{_colour(line.look)}"'
            yield f"<circle {place}><title>{escaped(point.text)}</title></circle>"

    def _mark(self, mark: Mark) -> str:
        """Draw a diamond, which may lie on the edge of the plot, over its interval."""
        point, chart = mark.point, self._chart
        x, y = _LEFT + self._x(point.x), _TOP + self._y(chart.within(point.y))
        colour, bar = _colour(mark.look), ""
        if point.low is not None and point.high is not None:
            ends = [_TOP + self._y(chart.within(end)) for end in (point.low, point.high)]
            bar = (
                f'<line x1="{_px(x)}" x2="{_px(x)}" y1="{_px(ends[0])}" y2="{_px(ends[1])}" '
                f'style="stroke:{colour};stroke-width:2"/>'
            )
        steps = ((0, -5), (5, 0), (0, 5), (-5, 0))
        corners = " ".join(f"{_px(x + right)},{_px(y + down)}" for right, down in steps)
        title = f"<title>{escaped(point.text)}</title>" if point.text else ""
        return f'{bar}<polygon points="{corners}" style="fill:{colour}">{title}</polygon>'

    def _labels(self) -> Iterable[str]:
        """Write the labels beside where the lines end, moved apart."""
        labels, right = self._chart.labels(), _LEFT + self._plot_width + _END
        wanted = [_TOP + self._y(self._chart.within(y)) for _, y, _ in labels]
        places = spread(wanted, _ROW, _TOP - 4, _TOP + self._plot_height)
        for (text, _y, look), at in zip(labels, places, strict=True):
            if len(text) > self._letters:
                text = text[: self._letters - 1] + "…"
            style = "" if look is None else f' style="fill:{_colour(look)};font-weight:600"'
            yield _text(right, at + 4, text, "start", style)


def _px(number: float) -> str:
    """Return a coordinate in few letters."""
    return f"{number:.1f}".removesuffix(".0")


def _rule(x1: float, y1: float, x2: float, y2: float, opacity: str, more: str = "") -> str:
    ends = f'x1="{_px(x1)}" y1="{_px(y1)}" x2="{_px(x2)}" y2="{_px(y2)}"'
    return f'<line {ends} stroke="currentColor" opacity="{opacity}"{more}/>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    where = f'x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}"'
    return f'<text {where} fill="currentColor"{more}>{escaped(text)}</text>'


def _colour(look: int) -> str:
    """Return a colour of the page, or a similar one where there is no style sheet."""
    number = look % len(_COLOURS)
    return f"var(--{number + 1},{_COLOURS[number]})"


def _dashes(look: int) -> str:
    """Return dashes that differ for every colour, and again for the next six of each."""
    dashes = _DASHES[(look + look // len(_COLOURS)) % len(_DASHES)]
    return f' stroke-dasharray="{dashes}"' if dashes else ""


def swatch(look: int) -> str:
    """Draw a piece of a line, as a key for a table."""
    line = f'<line x1="0" x2="34" y1="6" y2="6" style="stroke:{_colour(look)};stroke-width:3"'
    return f'<svg width="34" height="12" aria-hidden="true">{line}{_dashes(look)}/></svg>'
