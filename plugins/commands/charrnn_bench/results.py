"""The results: figures and a learning curve for each training, a table row for each cell."""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn_bench.intervals import mean_interval
from charrnn_bench.survey import Survey
from charrnn_bench.trainings import CellTraining
from charrnn_core.errors import CharRNNError
from charrnn_core.files.regular import read_own
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import read_manifest
from charrnn_core.runs.opening import open_checkpoint

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Arguments:
        characters: characters trained on so far.
        seconds: time spent on updates so far, without start-up, compilation and evaluations.
        bits_per_char: the held-out loss.
    """

    characters: int
    seconds: float
    bits_per_char: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one training.

    Arguments:
        cell, seed: what was trained.
        bits_per_char: the held-out loss of its best model at the end; None if it failed.
        interval: its interval over the text, see `charrnn_core.evaluation.report.Tally`.
        characters_per_second: the speeds in the rows of its log.
        peak_bytes: the peak memory of its process.
        curve: its learning curve.
        updates: the number of its updates.
        start_up: seconds up to its first update, if its budget is a time.
        error: what went wrong.
    """

    cell: str
    seed: int
    bits_per_char: float | None = None
    interval: tuple[float, float] | None = None
    characters_per_second: tuple[float, ...] = ()
    peak_bytes: int | None = None
    curve: tuple[Point, ...] = ()
    updates: int | None = None
    start_up: float | None = None
    error: str | None = None

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        speed = statistics.median(self.characters_per_second) if self.curve else None
        return {**dataclasses.asdict(self), "characters_per_second": speed}


def read_outcome(training: CellTraining, sha256: str) -> Outcome:
    """Read the result of a training.

    Arguments:
        training: the training.
        sha256: the digest of the text that it should have read.
    """
    record = training.record()
    failed = Outcome(cell=training.cell, seed=training.seed, error=record.get("error"))
    if failed.error is not None or not training.is_done():
        return dataclasses.replace(failed, error=failed.error or "it has not ended")
    try:
        path, checkpoint = open_checkpoint(training.directory, note=lambda line: None)
        table = read_manifest(path, checkpoint.table)
        rows = _rows(RunDirectory(training.directory).metrics_file)
        evaluation = RunDirectory(training.directory).evaluation(table["step"])
        interval = _in_bits(evaluation["interval"] if evaluation else None)
    except (CharRNNError, OSError, ValueError) as error:
        return dataclasses.replace(failed, error=str(error))
    if table["corpus"]["sha256"] != sha256:
        error = "it was trained on another text: the source has changed since the first training"
        return dataclasses.replace(failed, error=error)
    # The checkpoint's own loss may be of an excerpt; without an evaluation there is no other.
    nats = evaluation["nats_per_char"] if evaluation else table.get("loop", {}).get("best")
    if nats is None or not math.isfinite(nats):
        return dataclasses.replace(failed, error="its held-out loss is not finite")
    start_up = None
    if evaluation is not None and "minutes" in table["config"]:
        start_up = evaluation["start_up_seconds"]
    return Outcome(
        cell=training.cell,
        seed=training.seed,
        bits_per_char=nats / math.log(2),
        interval=interval,
        characters_per_second=tuple(row["characters_per_second"] for row in rows),
        peak_bytes=record.get("peak_bytes"),
        curve=_curve(rows),
        updates=checkpoint.table["step"],
        start_up=start_up,
    )


def _in_bits(interval: Sequence[float] | None) -> tuple[float, float] | None:
    """Convert an interval from nats to bits per character.

    >>> _in_bits([math.log(2), math.log(4)])
    (1.0, 2.0)
    """
    if interval is None:
        return None
    low, high = interval
    return low / math.log(2), high / math.log(2)


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_own(file).decode("utf-8").splitlines()]


def _curve(rows: Iterable[Mapping[str, Any]]) -> tuple[Point, ...]:
    """Return the points at which held-out text was scored.

    >>> rows = [{"characters": 100, "characters_per_second": 50.0},
    ...         {"characters": 400, "characters_per_second": 100.0,
    ...          "held_out_nats_per_char": math.log(2)}]
    >>> _curve(rows)
    (Point(characters=400, seconds=5.0, bits_per_char=1.0),)
    """
    seconds, before, points = 0.0, 0, []
    for row in rows:
        seconds += (row["characters"] - before) / max(row["characters_per_second"], 0.1)
        before = row["characters"]
        if (nats := row.get("held_out_nats_per_char")) is not None:
            points.append(Point(before, round(seconds, 3), nats / math.log(2)))
    return tuple(points)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table: a cell, or a baseline without a network.

    Arguments:
        name: the cell's spec, or the name of the baseline.
        bits_per_char: the held-out loss, mean over seeds; None if every training failed.
        interval: its 95 % interval over seeds, or with one seed over the text.
        interval_over: ``"seeds"``, ``"text"``, or None without an interval.
        characters_per_second: the median over the rows of all logs.
        parameters: the size of the network.
        peak_mebibytes: the peak memory of any of its processes.
        seeds: the number of trainings that succeeded.
        outcomes: all its trainings, including those that failed.
    """

    name: str
    bits_per_char: float | None
    interval: tuple[float, float] | None = None
    interval_over: str | None = None
    characters_per_second: float | None = None
    parameters: int | None = None
    peak_mebibytes: float | None = None
    seeds: int | None = None
    outcomes: tuple[Outcome, ...] = field(default=(), repr=False)

    @property
    def errors(self) -> list[str]:
        """A line for each of its trainings that failed."""
        failed = [outcome for outcome in self.outcomes if outcome.error is not None]
        return [f"{self.name}, seed {outcome.seed}: {outcome.error}" for outcome in failed]

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        table = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**table, "outcomes": [outcome.table() for outcome in self.outcomes]}


def cell_row(cell: str, parameters: int, outcomes: Iterable[Outcome]) -> Row:
    """Summarise the trainings of a cell.

    >>> outcomes = [Outcome(cell="elman", seed=s, bits_per_char=2.0 + s) for s in (0, 1)]
    >>> row = cell_row("elman", 1000, outcomes)
    >>> row.bits_per_char, row.interval_over, row.seeds
    (2.5, 'seeds', 2)
    """
    outcomes = tuple(outcomes)
    good = [outcome for outcome in outcomes if outcome.bits_per_char is not None]
    bits = [outcome.bits_per_char for outcome in good if outcome.bits_per_char is not None]
    interval, over = mean_interval(bits), "seeds"
    if len(good) == 1:
        interval, over = good[0].interval, "text"
    speeds = [speed for outcome in good for speed in outcome.characters_per_second]
    peaks = [outcome.peak_bytes for outcome in good if outcome.peak_bytes is not None]
    return Row(
        name=cell,
        bits_per_char=statistics.fmean(bits) if bits else None,
        interval=interval,
        interval_over=over if interval else None,
        characters_per_second=statistics.median(speeds) if speeds else None,
        parameters=parameters,
        peak_mebibytes=round(max(peaks) / _MEBIBYTE, 1) if peaks else None,
        seeds=len(good),
        outcomes=outcomes,
    )


def make_rows(survey: Survey, outcomes: Iterable[Outcome]) -> list[Row]:
    """Make a row for each cell, followed by the baselines."""
    outcomes = list(outcomes)
    rows = [
        cell_row(cell, parameters, (outcome for outcome in outcomes if outcome.cell == cell))
        for cell, parameters in survey.parameters.items()
    ]
    baselines = survey.baselines.items()
    return [*rows, *(Row(name=name, bits_per_char=bits) for name, bits in baselines)]
