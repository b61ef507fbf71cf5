"""Charts: their ticks and labels, as SVG, and in a terminal of 60 and 120 columns."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.chart import Chart, Level, Line, Mark, Point, spread, ticks
from charrnn_core.console.curve import curve_in_terminal, curve_lines
from charrnn_core.page.curves import svg, swatch
from charrnn_core.runs.course import Course, Stage
from charrnn_core.runs.curves import AXES, Curve, Result, chart

finite = st.floats(-1e6, 1e6)
losses = st.none() | st.floats()


@given(finite, st.floats(0.01, 1e9), st.integers(2, 12))
def test_ticks_are_few_round_and_within(low, size, most):
    found = ticks(low, low + size, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * size <= x <= low + size * 1.000001 for x in found)
    gaps = [b - a for a, b in zip(found, found[1:], strict=False)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-3) for gap in gaps)


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.5, 20))
def test_labels_keep_apart_and_in_order(places, gap):
    found = spread(places, gap, 0.0, 100.0)
    room = min(gap, 100.0 / max(1, len(places) - 1))
    assert all(-1e-6 <= at <= 100 + 1e-6 for at in found)
    for a in range(len(places)):
        for b in range(len(places)):
            if a != b:
                assert abs(found[a] - found[b]) >= room - 1e-6
            if places[a] < places[b]:
                assert found[a] < found[b]


def test_labels_that_have_room_stay_where_they_are():
    assert spread([10.0, 50.0, 90.0], 15.0, 0.0, 100.0) == [10.0, 50.0, 90.0]


stages = st.builds(
    Stage,
    st.integers(0, 10**6),
    st.integers(0, 10**9),
    st.floats(),
    losses,
    st.none() | st.tuples(st.floats(), st.floats()),
    st.none() | st.floats(0, 1e6),
)


@given(st.lists(st.lists(stages, max_size=5), min_size=1, max_size=8), st.sampled_from(AXES))
def test_any_losses_make_a_chart_or_none(courses, by):
    curves = [
        Curve(course=Course(found), name=f"run <{i}>", look=i) for i, found in enumerate(courses)
    ]
    drawn = chart(curves, by)
    if drawn is None:
        return
    assert drawn.low < drawn.high
    for width in (400, 720):
        text = svg(drawn, width)
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img" and "nan" not in re.sub("<text.*?</text>", "", text)
    for line in curve_lines(drawn, 80, encoding="utf-8"):
        assert len(line) <= 80


COURSE = Course([
    Stage(n, 100 * n, 1.5 + 3 / n, (1.6 + 2 / n) if n % 4 == 0 else None,
          (1.55 + 2 / n, 1.65 + 2 / n) if n % 4 == 0 else None, n / 2)
    for n in range(1, 41)
])  # fmt: skip
CURVE = Curve(
    course=COURSE, levels={"n-gram, order 6": 1.4, "xz -9e": 1.7},
    result=Result(nats=1.62, interval=(1.6, 1.64), step=40),
)  # fmt: skip


def test_a_chart_has_everything_in_it():
    drawn = chart([CURVE], "minutes")
    assert drawn is not None
    assert (drawn.x_name, drawn.y_name) == ("minutes", "bits per character")
    assert drawn.farthest == pytest.approx(40 / 2 / 60)
    names = [name for name, _, _ in drawn.labels()]
    assert names == ["training", "held-out", "n-gram, order 6", "xz -9e"]
    [mark] = drawn.marks
    assert (mark.point.y, mark.point.low) == (1.62 / math.log(2), 1.6 / math.log(2))
    text = svg(drawn)
    assert text.count("<polyline") == 2 and "all of the held-out text: 2.337 bits" in text
    assert "2.337" in ElementTree.fromstring(text).get("aria-label", "")


def test_a_steep_beginning_is_cut_off():
    high = chart(
        [Curve(course=Course([Stage(n, n, 90.0 if n == 1 else 2.0) for n in range(1, 99)]))]
    )
    assert high is not None and high.high < 10


def test_runs_differ_in_colour_and_dashes_and_have_their_names():
    curves = [Curve(course=COURSE, name=f"run-{i}", look=i) for i in range(12)]
    drawn = chart(curves)
    assert drawn is not None
    assert [name for name, _, _ in drawn.labels()] == [f"run-{i}" for i in range(12)]
    assert len({swatch(i) for i in range(36)}) == 36


def test_texts_with_other_baselines_have_lines_of_their_own():
    other = Curve(course=COURSE, name="b", levels={"xz -9e": 1.9})
    same = Curve(course=COURSE, name="c", levels={"xz -9e": 1.7})
    drawn = chart([Curve(course=COURSE, name="a", levels=CURVE.levels), other, same])
    assert drawn is not None
    assert [level.name for level in drawn.levels] == [
        "n-gram, order 6", "xz -9e (a, c)", "xz -9e (b)",
    ]  # fmt: skip


def test_many_rows_are_averaged():
    long = Course([Stage(n, n, 2.0, 2.0) for n in range(1, 5000)])
    drawn = chart([Curve(course=long)], most=50)
    assert drawn is not None
    for line in drawn.lines:
        assert len(line.points) <= 50
        assert (line.points[0].x, line.points[-1].x) == (1, 4999)


@pytest.mark.parametrize("width", [60, 120])
def test_in_a_terminal(width):
    drawn = chart([CURVE])
    assert drawn is not None
    lines = curve_lines(drawn, width, encoding="utf-8")
    expected = (Path(__file__).parent / f"data/curve-{width}.txt").read_text()
    assert "\n".join([*lines, ""]) == expected
    assert max(map(len, lines)) <= width and len(lines) == 10


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "no-such"])
def test_a_terminal_without_braille_has_no_curve(encoding):
    drawn = chart([CURVE])
    assert drawn is not None and curve_lines(drawn, 80, encoding=encoding) == []


def test_neither_has_a_narrow_one_nor_a_pipe():
    drawn = chart([CURVE])
    assert drawn is not None and curve_lines(drawn, 30, encoding="utf-8") == []
    assert curve_in_terminal(drawn) == curve_in_terminal(None) == []


def test_a_single_point_is_shown():
    point = Point(3.0, 0.5)
    drawn = Chart(
        title="", x_name="x", y_name="y", lines=[Line(name="one", points=[point])],
        levels=[Level(name="level", y=0.25)], marks=[Mark(name="mark", point=point)],
    )  # fmt: skip
    assert "h0" in svg(drawn)
    lines = curve_lines(drawn, 60, encoding="utf-8")
    assert any("one 0.500" in line for line in lines)
