"""A chart with the dots of Braille, for a terminal; plotille draws the dots."""

import sys
from typing import TYPE_CHECKING

from charrnn_core.chart import Chart, Line, short, spread
from charrnn_core.console.layout import room
from charrnn_core.terminal import number, printable

if TYPE_CHECKING:
    from plotille import Canvas

_NARROWEST = 20
"""No chart is drawn where less than this is left for it."""

_EVERY = 4
"""The dots of a level are so far apart."""

_NO_DOTS = "\u2800"
"""What plotille leaves empty; some fonts show it as circles."""


def curve_in_terminal(chart: Chart | None) -> list[str]:
    """Return the lines of a chart for standard output; none if that is not a terminal."""
    width = room()
    return [] if chart is None or width is None else curve_lines(chart, width)


def curve_lines(chart: Chart, width: int, rows: int = 8, encoding: str | None = None) -> list[str]:
    """Return the lines of a chart; none if the terminal is too narrow or has no Braille.

    The held-out loss is a line, the training loss and the levels are dots; each has its name and
    its last value at the right.

    Arguments:
        chart: the chart.
        width: of the terminal, in columns.
        rows: the height of the plot, in lines; two more have the names of the axes.
        encoding: of the terminal; by default that of standard output.
    """
    if not _has_braille(encoding or getattr(sys.stdout, "encoding", None) or "ascii"):
        return []
    labels = [(f"{printable(text)} {number(y, 3)}", y) for text, y, _ in chart.labels()]
    tall = [f"{chart.high:.2f}", f"{chart.low:.2f}"]
    left = max(map(len, tall))
    right = max((len(text) for text, _ in labels), default=0)
    plot = width - left - right - 3
    if plot < _NARROWEST:
        return []
    beside = _beside(chart, labels, rows)
    drawn = _dots(chart, plot, rows)
    lines = [chart.y_name]
    for row, dots in enumerate(drawn):
        edge = tall[0] if row == 0 else tall[1] if row == rows - 1 else ""
        lines.append(f"{edge:>{left}} {dots} {beside[row]}".rstrip())
    end = f"{short(chart.farthest)} {chart.x_name}"
    return [*lines, f"{'':{left}} 0{end:>{plot - 1}}"]


def _has_braille(encoding: str) -> bool:
    try:
        "\u28ff".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _beside(chart: Chart, labels: list[tuple[str, float]], rows: int) -> list[str]:
    """Return the label beside each row."""
    share = [(chart.high - chart.within(y)) / (chart.high - chart.low) for _, y in labels]
    places = spread([part * (rows - 1) for part in share], 1.0, 0.0, rows - 1.0)
    beside = [""] * rows
    for (text, _), place in sorted(zip(labels, places, strict=True), key=lambda both: both[1]):
        row = round(place)
        while row < rows - 1 and beside[row]:  # two that are rounded to the same
            row += 1
        beside[row] = text
    return beside


def _dots(chart: Chart, width: int, rows: int) -> list[str]:
    from plotille import Canvas  # here, for --help is to be quick

    size = chart.high - chart.low

    def near(y: float) -> float:
        # A line of plotille takes as long as it is, also where it cannot be seen.
        return min(max(y, chart.low - size), chart.high + size)

    canvas = Canvas(width, rows, 0.0, chart.low, chart.farthest * 1.001, chart.high)
    across = [chart.farthest * i / (2 * width) for i in range(0, 2 * width, _EVERY)]
    for level in chart.levels:
        for x in across:
            canvas.point(x, near(level.y))
    for line in chart.lines:
        _draw(canvas, line, [(point.x, near(point.y)) for point in line.points])
    return canvas.plot("\n").replace(_NO_DOTS, " ").splitlines()


def _draw(canvas: "Canvas", line: Line, points: list[tuple[float, float]]) -> None:
    if line.thin or len(points) == 1:
        for x, y in points:
            canvas.point(x, y)
        return
    for (x, y), (to_x, to_y) in zip(points, points[1:], strict=False):
        canvas.line(x, y, to_x, to_y)
