"""The tables of a report: its runs, their settings, where they were trained, and the numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn_core.page.table import html_table
from charrnn_core.registry.words import component
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.course import Stage
from charrnn_core.runs.overview import spec
from charrnn_core.terminal import number, printable
from charrnn_report.shown import Shown

_MOST_STAGES, _OF_ALL = 24, 240
_LONGEST = 120


def overview_table(runs: Sequence[Shown]) -> str:
    """Return a row for each run: state, result, cell, text, size and time."""
    head = ("run", "state", "bits", "nats", "cell", "text", "parameters", "characters", "minutes")
    rows = []
    for run in runs:
        about = run.history.overview
        cell = about.cell or spec(run.history.settings.get("cell")) or ""
        seconds = about.seconds
        stages = run.history.course.stages
        if stages and stages[-1].seconds is not None:
            seconds = stages[-1].seconds
        rows.append((
            run.heading,
            about.state,
            _figure(about.bits, 4),
            _figure(about.nats, 4),
            _plain(cell),
            _plain(Path(about.text or "").name),  # of a file, which may lie deep down
            "" if about.parameters is None else f"{about.parameters:,}",
            f"{stages[-1].characters:,}" if stages else "",
            "" if seconds is None else f"{seconds / 60:.1f}",
        ))  # fmt: skip
    return _wide(html_table(rows, head))


def settings_table(runs: Sequence[Shown]) -> str:
    """Return the settings that differ: from each other, or a single run's from the defaults."""
    rows = _by_run(runs, lambda run: _in_words(run.history.settings))
    if len(runs) > 1:
        rows = [row for row in rows if len(set(row[1:])) > 1]
        nothing = "All settings are the same."
    else:
        usual = _in_words(RunConfig().table())
        rows = [row for row in rows if row[1] != usual.get(row[0])]
        nothing = "No settings are known." if not runs[0].history.settings else "All are defaults."
    return _compared(runs, rows) if rows else f"<p>{nothing}</p>"


def environment_table(runs: Sequence[Shown]) -> str:
    """Return the versions and the machine that each run was trained with."""
    rows = _by_run(runs, lambda run: dict(run.history.environment))
    if not rows:
        return "<p>Not known: there is no checkpoint yet.</p>"
    if len(runs) > 1 and all(len(set(row[1:])) == 1 for row in rows):
        return _wide(html_table([row[:2] for row in rows]), "settings")
    return _compared(runs, rows)


def numbers_table(runs: Sequence[Shown]) -> str:
    """Return what the curves show, as numbers."""
    most, parts = max(5, min(_MOST_STAGES, _OF_ALL // len(runs))), []
    head = ("update", "characters", "minutes", "training", "held-out", "95 % interval")
    for run in runs:
        stages = _spread_out(run.history.course.stages, most)
        if not stages:
            continue
        table = html_table(map(_numbers, stages), head, numbers=True)
        bits = f"bits per {run.history.unit}"
        caption = f"<p>{run.heading}, in {bits}</p>" if len(runs) > 1 else f"<p>In {bits}.</p>"
        parts.append(f"{caption}{_wide(table)}")
    return "".join(parts) or "<p>No loss has been measured yet.</p>"


def _numbers(stage: Stage) -> tuple[str, ...]:
    ends = (_bits(end) for end in stage.interval or ())
    return (
        f"{stage.step:,}",
        f"{stage.characters:,}",
        "" if stage.seconds is None else f"{stage.seconds / 60:.2f}",
        _bits(stage.train),
        "" if stage.held_out is None else _bits(stage.held_out),
        " to ".join(ends),
    )


def _spread_out(stages: Sequence[Stage], most: int) -> list[Stage]:
    """Return the stages with a held-out loss, or all if there are none; at most so many."""
    found = [stage for stage in stages if stage.held_out is not None] or list(stages)
    if len(found) <= most:
        return found
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]


def _by_run(
    runs: Sequence[Shown], of: Callable[[Shown], Mapping[str, str]]
) -> list[tuple[str, ...]]:
    """Return a row for each name that a run has a value for."""
    tables = [of(run) for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name, *(_plain(table.get(name, "")) for table in tables)) for name in names]


def _in_words(settings: Mapping[str, Any]) -> dict[str, str]:
    return {printable(str(name)): component(value) for name, value in settings.items()}


def _compared(runs: Sequence[Shown], rows: Sequence[Sequence[str]]) -> str:
    head = ("", *(run.heading for run in runs)) if len(runs) > 1 else ()
    return _wide(html_table(rows, head), "settings")


def _plain(text: str) -> str:
    text = printable(str(text))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _figure(value: float | None, decimals: int) -> str:
    return "" if value is None else number(value, decimals)


def _bits(nats: float) -> str:
    return number(nats / math.log(2), 3)


def _wide(table: str, kind: str = "") -> str:
    """Let a table scroll sideways where it is too wide, also by keyboard."""
    return f'<div class="{f"wide {kind}".strip()}" tabindex="0">{table}</div>'
