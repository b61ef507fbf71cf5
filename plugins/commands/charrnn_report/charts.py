"""The learning curves of a report: over updates, characters or minutes, for wide and narrow."""

from collections.abc import Sequence

from charrnn_core.page.curves import svg
from charrnn_core.runs.curves import AXES, MOST_WITH_INTERVALS, MOST_WITH_TRAINING, chart
from charrnn_report.shown import Shown

_WIDE, _NARROW = (760, 400), (400, 340)
_FEWEST_POINTS, _MOST_POINTS, _OF_ALL = 8, 240, 400
"""The points of a line, at least and at most, and of a line of every run together."""

STYLE = """
.axes label { margin-right: 0.6rem; }
.by { display: none; }
.by > .narrow { display: none; }
.by > div > svg { width: 100%; }
@media (max-width: 40rem) {
  .by > .wide { display: none; }
  .by > .narrow { display: block; }
}
"""


def charts(runs: Sequence[Shown]) -> tuple[str, str]:
    """Return the curves as HTML, with radio buttons that choose the axis, and their style sheet.

    The buttons need no script: what they show is said by the style sheet.
    """
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _OF_ALL // len(runs)))
    curves = [run.curve for run in runs]
    drawn = {by: found for by in AXES if (found := chart(curves, by, most)) is not None}
    if not drawn:
        return "<p>No loss has been measured yet.</p>", ""
    buttons, labels, figures, rules = [], [], [], []
    for by, found in drawn.items():
        checked = "" if buttons else " checked"
        buttons.append(f'<input type="radio" name="by" id="by-{by}"{checked}>')
        labels.append(f'<label for="by-{by}">{by}</label>')
        figures.append(
            f'<div class="by {by}"><div class="wide">{svg(found, *_WIDE)}</div>'
            f'<div class="narrow">{svg(found, *_NARROW)}</div></div>'
        )
        rules.append(f"#by-{by}:checked ~ .{by} {{ display: block; }}\n")
    choices = "".join(f"{a} {b}" for a, b in zip(buttons, labels, strict=True))
    axes = f'<div class="axes" role="radiogroup" aria-label="horizontal axis">over {choices}'
    return f"{axes}{''.join(figures)}</div><p><small>{_caption(runs)}</small></p>", (
        STYLE + "".join(rules)
    )


def _caption(runs: Sequence[Shown]) -> str:
    """Say how to read the curves."""
    parts = []
    if len(runs) > MOST_WITH_TRAINING:
        parts.append("Held-out losses; every run has a colour and dashes.")
    elif len(runs) > 1:
        parts.append("Every run has a colour and dashes; its thin line is the training loss.")
    stages = [stage for run in runs for stage in run.history.course.stages]
    if len(runs) <= MOST_WITH_INTERVALS and any(stage.interval for stage in stages):
        parts.append(
            "The band around a held-out loss is its 95 % interval: how much it would vary with "
            "another text of this kind and length. Points of one line are measured on the same "
            "text, so they differ by less than that by chance."
        )
    if any(run.curve.result for run in runs):
        parts.append(
            "The diamond is the result on all of the held-out text, of the model that is used; the "
            "line is of an excerpt."
        )
    if any(run.curve.levels for run in runs):
        parts.append("Dotted: what counting (n-gram) and compression (xz) reach on that text.")
    return " ".join(parts)
