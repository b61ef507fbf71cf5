"""The page of a report, put together."""

from collections.abc import Sequence

from charrnn_core.errors import UsageError
from charrnn_core.page.frame import escaped, page
from charrnn_core.runs.history import History
from charrnn_core.runs.overview import RUNNING
from charrnn_report.charts import charts
from charrnn_report.samples import samples
from charrnn_report.shown import Shown, shown
from charrnn_report.tables import (
    environment_table,
    numbers_table,
    overview_table,
    settings_table,
)

MARK = "<!-- a report of charrnn -->"
"""What tells a report from other pages, which are never replaced."""

_MOST_RUNS = 30

_STYLE = """
pre { font-size: 0.875rem; max-height: 22rem; overflow-y: auto; }
h3 { font-size: 1rem; margin: 1rem 0 0.25rem; }
details { margin: 0.5rem 0; }
summary { cursor: pointer; }
table { font-size: 0.9rem; }
td, th { white-space: nowrap; }
.settings td { white-space: normal; overflow-wrap: break-word; min-width: 8rem; max-width: 24rem; }
"""


def report_page(histories: Sequence[History], refresh: int | None = None) -> str:
    """Return a page about runs, which needs no script.

    Arguments:
        histories: the runs, at least one.
        refresh: after how many seconds a browser reads the page again; None for never.

    Raises:
        UsageError: there are too many runs for one page.
    """
    if len(histories) > _MOST_RUNS:
        raise UsageError(
            f"{len(histories)} runs do not fit on a page; expected at most {_MOST_RUNS}"
        )
    runs = shown(histories)
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    curves, style = charts(runs)
    parts = [
        f"{MARK}<main><h1>{escaped(title)}</h1>",
        _live(refresh),
        overview_table(runs),
        _troubles(runs),
        f"<h2>Learning curves</h2>{curves}",
        _section("Result on all of the held-out text", _results(runs)),
        _section("Samples while it learnt", samples(runs)),
        _section("Settings that differ", settings_table(runs))
        if len(runs) > 1
        else _section("Settings that are not the default", settings_table(runs)),
        _section("Trained with", environment_table(runs)),
        _section("The curves in numbers", numbers_table(runs)),
        "</main>",
    ]
    return page(f"{title}: charrnn", "\n".join(parts), style=_STYLE + style, refresh=refresh)


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}"


def _live(refresh: int | None) -> str:
    if refresh is None:
        return ""
    return (
        '<p role="status">Training is going on: this page reads itself again every '
        f"{refresh} seconds.</p>"
    )


def _troubles(runs: Sequence[Shown]) -> str:
    """Say what a reader of the curves has to know."""
    lines = []
    for run in runs:
        history, name = run.history, escaped(run.name)
        if history.incidents:
            count = f"{history.incidents:,} update{'s' if history.incidents > 1 else ''}"
            lines.append(f"{name}: something in {count} was not finite; see incidents.jsonl.")
        if history.evaluation is not None and run.evaluation is None:
            lines.append(f"{name}: evaluation.json cannot be read, so its result is missing.")
    return "".join(f"<p>{line}</p>" for line in lines)


def _results(runs: Sequence[Shown]) -> str:
    """Return the final comparison of every run."""
    parts = []
    for run in runs:
        result = _no_result(run) if run.evaluation is None else run.evaluation._repr_html_()
        head = f"<h3>{run.heading}</h3>" if len(runs) > 1 else ""
        parts.append(f'{head}<div class="wide" tabindex="0">{result}</div>')
    return "".join(parts)


def _no_result(run: Shown) -> str:
    if run.history.overview.state == RUNNING:
        return "<p>It is measured at the end of the training, which is going on.</p>"
    if any(stage.held_out is not None for stage in run.history.course.stages):
        return "<p>It is measured at the end of a training, which this one has not reached.</p>"
    return "<p>Nothing was measured.</p>"
