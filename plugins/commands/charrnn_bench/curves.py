"""Learning curves: held-out bits against characters and against seconds, as PNG and SVG."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from charrnn_bench.results import Point, Row

# The colours of Okabe and Ito 2008, distinguishable with any colour vision; the n-gram is black.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_STYLES = ("-", "-.", ":")
_AXES = (("characters", "{}s trained on"), ("seconds", "seconds of training"))
# Without these, the same figure would not give the same bytes.
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "charrnn bench", "svg.fonttype": "path"}
_METADATA = {"png": {"Software": None}, "svg": {"Date": None}}


class Mean(NamedTuple):
    """A point of the mean of several curves, with their minimum and maximum."""

    x: float
    bits_per_char: float
    least: float
    most: float


def mean_curve(curves: Iterable[Sequence[Point]], axis: str) -> list[Mean]:
    """Return the mean of the k-th points of some curves, for every k that all of them have.

    The k-th evaluations of trainings with the same budget are at the same share of it.

    Arguments:
        curves: the points of each curve.
        axis: the horizontal axis: ``"characters"`` or ``"seconds"``.

    >>> curves = [[Point(100, 1.0, 3.0)], [Point(300, 1.2, 2.0), Point(600, 2.4, 1.0)]]
    >>> mean_curve(curves, "characters")
    [Mean(x=200.0, bits_per_char=2.5, least=2.0, most=3.0)]
    """
    means = []
    for points in zip(*curves, strict=False):
        bits = [point.bits_per_char for point in points]
        x = statistics.fmean(getattr(point, axis) for point in points)
        means.append(Mean(x, statistics.fmean(bits), min(bits), max(bits)))
    return means


def draw(rows: Iterable[Row], directory: Path, title: str, unit: str = "character") -> list[Path]:
    """Draw the cells' curves, with the n-gram as a dashed line; the same rows give the same bytes.

    Arguments:
        rows: the rows of the table; those without curves are skipped.
        directory: where to write ``curves.png`` and ``curves.svg``.
        title: the title of the figure.
        unit: ``"character"`` or ``"byte"``.

    Returns:
        The paths of the two files.
    """
    rows = list(rows)
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (axis, name) in zip(panels, _AXES, strict=True):
            _draw_panel(panel, rows, axis)
            panel.set_xlabel(name.format(unit))
        panels[0].xaxis.set_major_formatter(EngFormatter(sep=""))
        panels[0].set_ylabel(f"held-out bits per {unit}")
        figure.suptitle(title, fontsize="small", wrap=True)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
        paths = []
        for kind, metadata in _METADATA.items():
            paths.append(directory / f"curves.{kind}")
            figure.savefig(paths[-1], dpi=150, metadata=metadata)
    return paths


def _draw_panel(panel: Axes, rows: Iterable[Row], axis: str) -> None:
    number = 0
    for row in rows:
        curves = [outcome.curve for outcome in row.outcomes if outcome.curve]
        if curves:
            means = mean_curve(curves, axis)
            x = [mean.x for mean in means]
            colour = _COLOURS[number % len(_COLOURS)]
            style = _STYLES[number // len(_COLOURS) % len(_STYLES)]
            panel.plot(
                x,
                [mean.bits_per_char for mean in means],
                color=colour,
                linestyle=style,
                marker="o",
                markersize=3,
                label=row.name,
            )
            panel.fill_between(
                x,
                [mean.least for mean in means],
                [mean.most for mean in means],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
            number += 1
        elif row.name.startswith("n-gram") and row.bits_per_char is not None:
            panel.axhline(row.bits_per_char, color="black", linestyle="--", label=row.name)
    panel.grid(alpha=0.3)
    panel.margins(x=0.02)
