"""The journal of a tuning: its plan, and every result as soon as it is known."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn_core.errors import OptionError, RunDirectoryError
from charrnn_core.files.atomic import explained, write_atomically
from charrnn_core.files.regular import read_own
from charrnn_tune.plan import Plan
from charrnn_tune.space import Settings

_LASTING = 0.5
"""Of what a rung has gained, the next one gains so much."""


@dataclass(frozen=True)
class Result:
    """What a trial had reached at the end of a rung.

    Arguments:
        nats: the held-out loss per character; infinite if the training failed.
        characters, updates: how many it was trained on, and made, by then.
        seconds: how long that took, from rung to rung.
        updating: the seconds of all its updates so far.
        error: why it failed.
    """

    nats: float
    characters: int
    updates: int
    seconds: float
    updating: float = 0.0
    error: str | None = None


@dataclass
class Journal:
    """The journal, which is kept in one file; whatever it says is not done again.

    Arguments:
        file: the file.
        plan: the plan.
        settings: what each trial tries, by number.
        runs: the run that it is, as plain settings.
        results: by trial and rung.
        total: how many characters the winner is to have been trained on after its cool-down.
        cooled: the result of that.
    """

    file: Path
    plan: Plan
    settings: dict[int, Settings] = field(default_factory=dict)
    runs: dict[int, Settings] = field(default_factory=dict)
    results: dict[tuple[int, int], Result] = field(default_factory=dict)
    total: int | None = None
    cooled: Result | None = None

    @classmethod
    def opened(cls, file: Path, plan: Plan | None) -> "Journal":
        """Begin a journal, or read the one there is.

        Raises:
            OptionError: it is of another plan.
            RunDirectoryError: there is none and no plan to begin one, or it is not a journal.
        """
        with explained("read", file):
            data = read_own(file) if file.exists() else None
        if data is None:
            if plan is None:
                raise RunDirectoryError(
                    f"{file.parent} has no tuning to go on with; begin one with --source and "
                    "--budget"
                )
            journal = cls(file, plan)
            journal.write()
            return journal
        try:
            journal = cls._read(file, json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            raise RunDirectoryError(
                f"{file} was not written by 'charrnn tune': {error}; choose another --out"
            ) from error
        if plan is not None and plan != journal.plan:
            then, now = journal.plan.table(), plan.table()
            differ = ", ".join(key for key in then if then[key] != now[key])
            raise OptionError(
                f"{file.parent} has another tuning, which differs in {differ}; use the same "
                "options, or only --out to go on with it, or another --out"
            )
        return journal

    @classmethod
    def _read(cls, file: Path, table: dict[str, Any]) -> "Journal":
        results = {
            (int(row.pop("trial")), int(row.pop("rung"))): Result(**row) for row in table["results"]
        }
        return cls(
            file,
            Plan.read(table["plan"]),
            {int(number): dict(tried) for number, tried in table["settings"].items()},
            {int(number): dict(run) for number, run in table["runs"].items()},
            results,
            table["total"],
            None if table["cooled"] is None else Result(**table["cooled"]),
        )

    def write(self) -> None:
        """Keep what is known, in place of what was."""
        rows = [
            {"trial": trial, "rung": rung, **vars(result)}
            for (trial, rung), result in self.results.items()
        ]
        table = {
            "plan": self.plan.table(),
            "settings": self.settings,
            "runs": self.runs,
            "results": rows,
            "total": self.total,
            "cooled": None if self.cooled is None else vars(self.cooled),
        }
        write_atomically(self.file, [json.dumps(table, indent=1).encode(), b"\n"])

    def ranking(self, rung: int) -> list[int]:
        """Return the trials that have ended a rung, the best first."""
        ended = [trial for trial, its in self.results if its == rung]
        return sorted(ended, key=lambda trial: (self.results[trial, rung].nats, trial))

    def promise(self, trial: int, rung: int) -> float:
        """Return the loss that a trial would have after one rung more, as far as one can tell.

            n_{r+1} = n_r + (n_r - n_{r-1}) / 2,    and n_0 after the first rung

        A wide network reads fewer characters in its time, so it starts worse and gains more.
        """
        now = self.results[trial, rung].nats
        before = self.results[trial, rung - 1].nats if rung else now
        return now + _LASTING * (now - before) if math.isfinite(now) else now
