"""What is said of a tuning that has ended: a table, a plot, and the winner's recipe."""

import math
from pathlib import Path
from typing import Any

from charrnn_core.chart import Chart, Line, Point
from charrnn_core.files.atomic import write_atomically
from charrnn_core.page.curves import svg
from charrnn_core.terminal import aligned
from charrnn_tune.decide import in_words
from charrnn_tune.plan import FEWER
from charrnn_tune.space import without
from charrnn_tune.trial import cooling
from charrnn_tune.tuning import Tuning, correlations

WINNER, PLOT = "winner.toml", "rungs.svg"

_MOST_LINES = 6
_OF_THE_TUNING = ("observers", "eval_every", "sample_every", "keep_last")
"""Settings that trials have because nobody watches them."""


def lines(tuning: Tuning) -> list[str]:
    """Return the table, the trials that came farthest first, and what follows from it."""
    journal, plan = tuning.journal, tuning.journal.plan
    rungs = range(len(plan.rungs))
    head = ["trial", *(f"rung {rung + 1}" for rung in rungs), "characters", "settings"]
    rows = [tuple(head)]
    for number in order(tuning):
        reached = [journal.results.get((number, rung)) for rung in rungs]
        nats = ["" if each is None else f"{each.nats:.4f}" for each in reached]
        characters = max(each.characters for each in reached if each is not None)
        rows.append((str(number), *nats, f"{characters:,}", in_words(tuning.config(number))))
    told = [
        f"rank correlation of rung {rung} with rung {rung + 1}: {value:.2f}, of those in both"
        for rung, value in enumerate(correlations(journal), 1)
        if math.isfinite(value)
    ]
    first, last = journal.results[0, 0].nats, journal.results[tuning.winner, 0].nats
    return [
        f"held-out nats per character after each rung; a rung is {FEWER} times as long as the one "
        "before; from the second on, those go on that promise most, by what they gained last",
        *aligned(rows),
        *told,
        f"trial {tuning.winner} has {tuning.cooled.nats:.4f} after its rate has fallen "
        f"({tuning.cooled.characters:,} characters); in the first rung it had {last:.4f}, and a "
        f"run's own settings {first:.4f}",
        "note: chosen among many by the same held-out text, so a little of this is luck; another "
        "text, or --seed, tells how much",
    ]


def order(tuning: Tuning) -> list[int]:
    """Return all trials, those that came farthest first, and of these the best."""
    found: list[int] = []
    for rung in reversed(range(len(tuning.journal.plan.rungs))):
        found += [number for number in tuning.journal.ranking(rung) if number not in found]
    return found


def table(tuning: Tuning) -> dict[str, Any]:
    """Return the same as plain data, for JSON."""
    journal = tuning.journal
    return {
        "winner": tuning.winner,
        "trials": [
            {
                "trial": number,
                "settings": without(journal.settings[number], journal.plan.fixed),
                "run": journal.runs[number],
                "rungs": [
                    {**vars(result), "nats": _finite(result.nats)}
                    for (trial, _), result in sorted(journal.results.items())
                    if trial == number
                ],
            }
            for number in order(tuning)
        ],
        "rank_correlations": [_finite(each) for each in correlations(journal)],
        "cooled": None if journal.cooled is None else vars(journal.cooled),
    }


def keep(tuning: Tuning) -> list[Path]:
    """Write the winner's settings, as ``charrnn run --config`` reads them, and the plot."""
    import tomli_w

    assert (total := tuning.journal.total) is not None
    settings = cooling(tuning.config(tuning.winner), tuning.reached, total).table()
    kept = {name: value for name, value in settings.items() if name not in _OF_THE_TUNING}
    winner, plot = tuning.directory / WINNER, tuning.directory / PLOT
    write_atomically(winner, [tomli_w.dumps(kept).encode()])
    write_atomically(plot, [svg(chart(tuning)).encode()])
    return [winner, plot]


def chart(tuning: Tuning) -> Chart:
    """Draw the trials that came farthest."""
    journal = tuning.journal
    drawn = []
    for number in order(tuning)[:_MOST_LINES]:
        its = sorted(each for each in journal.results if each[0] == number)
        points = [Point(journal.results[key].characters, journal.results[key].nats) for key in its]
        if number == tuning.winner and journal.cooled is not None:
            points.append(Point(tuning.cooled.characters, tuning.cooled.nats))
        drawn.append(Line(name=f"trial {number}", points=points))
    nats = [point.y for line in drawn for point in line.points]
    margin = 0.05 * (max(nats) - min(nats)) or 0.05
    return Chart(title="Held-out loss of the best trials, by rung", x_name="characters",
                 y_name="nats per character", lines=drawn, low=min(nats) - margin,
                 high=max(nats) + margin)  # fmt: skip


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
