"""The plan of a benchmark: cells, a text, a budget, seeds; parse it, store it, compare it."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_bench.budget import read_budget
from charrnn_core.errors import OptionError
from charrnn_core.files.atomic import sha256
from charrnn_core.registry.spec import Ref, source_ref
from charrnn_core.runs.config import BUDGETS, RunConfig
from charrnn_core.runs.directory import FOLDER
from charrnn_core.runs.settings import read_settings

DEFAULT_SEEDS = 3
DEFAULT_MINUTES = 1.0

FIRST_UPDATE, START = "first update", "start"

_NEVER = 1e9
_LABEL = 40


@dataclass(frozen=True)
class Plan:
    """Everything that defines a benchmark.

    Arguments:
        cells: the specs of the cells to compare, each once.
        seeds: the number of trainings of each cell, with the seeds 0 to `seeds` - 1.
        settings: the settings of every training, except its cell and seed.
        clock: when a time budget begins: with a training's first update, or with its start, as in
            benchmarks begun by an earlier version.

    >>> plan = Plan(("elman:8", "lstm:4"), 2, RunConfig(minutes=1))
    >>> plan.config("lstm:4", seed=1).cell.argument
    '4'
    >>> Plan.read(plan.table()) == plan
    True
    """

    cells: tuple[str, ...]
    seeds: int
    settings: RunConfig
    clock: str = FIRST_UPDATE

    @property
    def size(self) -> int:
        """The number of its trainings."""
        return len(self.cells) * self.seeds

    def config(self, cell: str, seed: int = 0) -> RunConfig:
        """Return the configuration of one training."""
        return dataclasses.replace(self.settings, cell=Ref.parse(cell), seed=seed)

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {**self._requested(), "clock": self.clock}

    def _requested(self) -> dict[str, Any]:
        """Return the part of the plan that a user decides."""
        return {"cells": list(self.cells), "seeds": self.seeds, "settings": self.common()}

    def common(self) -> dict[str, Any]:
        """Return the settings that all trainings share, in their plain form."""
        table = self.settings.table()
        return {name: value for name, value in table.items() if name not in ("cell", "seed")}

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Plan":
        """Read a plan from its plain form, see `table`."""
        settings, clock = RunConfig.read(table["settings"]), str(table.get("clock", START))
        return cls(tuple(table["cells"]), table["seeds"], settings, clock)

    def differences(self, then: "Plan") -> list[str]:
        """Return a phrase for each difference from another plan.

        >>> settings = RunConfig(minutes=1)
        >>> Plan(("elman",), 3, settings).differences(Plan(("elman",), 2, settings))
        ['seeds was 2 and is 3']
        """
        now, before = ({**plan._requested(), **plan.common()} for plan in (self, then))
        return [
            f"{key} was {_shown(before.get(key))} and is {_shown(now.get(key))}"
            for key in sorted((now.keys() | before.keys()) - {"settings"})
            if now.get(key) != before.get(key)
        ]

    def check(self, jobs: int, index: int | None) -> None:
        """Check that its trainings can be run so.

        Arguments:
            jobs: how many at a time.
            index: the only one to run, if not all.

        Raises:
            OptionError: they cannot.

        >>> Plan(("elman", "gru"), 3, RunConfig(minutes=1)).check(1, 6)
        Traceback (most recent call last):
        charrnn_core.OptionError: index is 6; expected 0 to 5, because this benchmark has 6 \
trainings: cells 2, seeds 3
        """
        if jobs > 1 and self.settings.minutes is not None:
            raise OptionError(
                f"jobs is {jobs} and the budget is a time, but jobs share the machine's cores, so "
                "a cell's result would depend on what runs beside it; give --budget chars=INT, or "
                "leave out --jobs"
            )
        if index is not None and not 0 <= index < self.size:
            raise OptionError(
                f"index is {index}; expected 0 to {self.size - 1}, because this benchmark has "
                f"{self.size} trainings: cells {len(self.cells)}, seeds {self.seeds}"
            )

    def directory(self) -> Path:
        """Return where it is kept by default; the same plan always has the same place.

        >>> str(Plan(("elman",), 3, RunConfig(minutes=1)).directory())
        'runs/bench-python-docs-...'
        """
        source = self.settings.source
        named = f"{source.use}-{Path(source.argument or '').stem}"
        digest = sha256(json.dumps(self._requested(), sort_keys=True).encode())
        return FOLDER / f"bench-{label(named)}-{digest[:8]}"


def _shown(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)


def label(text: str) -> str:
    """Turn a text into a part of a file name.

    >>> label("stacked:lstm:64,lstm:64*2")
    'stacked-lstm-64-lstm-64-2'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:_LABEL].strip("-.")


def make_plan(
    lists: Iterable[str],
    specs: Iterable[str],
    *,
    source: str | None = None,
    split: str | None = None,
    budget: Iterable[str] = (),
    seeds: int | None = None,
    config: Path | None = None,
) -> Plan:
    """Make a plan from what a user typed; look up every name and option, to report wrong ones.

    Arguments:
        lists: cells separated by commas.
        specs: single cells, whose specs may contain commas.
        source, split: the text and its split; None is the default of a run.
        budget: see `charrnn_bench.budget.read_budget`.
        seeds: the number of trainings of each cell.
        config: a TOML file with settings of a run. Its cell and its seed are ignored.

    Raises:
        UsageError: the request is wrong.

    >>> make_plan(["elman:8,gru:8"], ["stacked:lstm:8,lstm:8"], budget=["chars=20k"]).cells
    ('elman:8', 'gru:8', 'stacked:lstm:8,lstm:8')
    """
    # Cells are compared, so what counts of the text add to all of them alike is left out.
    given = {"source": source, "split": split, "counts": 0, **read_budget(budget)}
    settings = read_settings(config, given, {})
    if settings.source == source_ref("-"):
        raise OptionError(
            "source is standard input, which can be read only once, but every training reads the "
            "text; save it to a file"
        )
    changes: dict[str, Any] = {}
    if all(getattr(settings, name) is None for name in BUDGETS):
        changes["minutes"] = DEFAULT_MINUTES
    if settings.sample_every is None:  # nobody reads samples, and they cost wall-clock time
        changes["sample_every"] = _NEVER
    watching = (ref for ref in settings.observers if ref.use not in ("progress", "jsonl"))
    changes["observers"] = (Ref("jsonl"), *watching)
    plan = Plan((), seeds or DEFAULT_SEEDS, dataclasses.replace(settings, **changes))
    cells = [spec for text in lists for spec in _split(text, plan)]
    cells += [spec.strip() for spec in specs]
    for number, spec in enumerate(cells):
        plan.config(spec).resolve()
        if spec in cells[:number]:
            raise OptionError(f"cell {spec!r} is given twice; give it once")
    if not cells:
        raise OptionError("no cells given; expected --cells LIST or --cell SPEC, or both")
    return dataclasses.replace(plan, cells=tuple(cells))


def _split(text: str, plan: Plan) -> list[str]:
    """Split a list of cells; a cell that takes a list itself may only come last."""
    specs = [spec.strip() for spec in text.split(",")]
    for spec in specs[:-1]:
        options = plan.config(spec).resolve().cell.options.values()
        lists = [value for value in options if isinstance(value, tuple)]
        if any(isinstance(item, Ref) for value in lists for item in value):
            raise OptionError(
                f"--cells {text!r} is ambiguous, because {spec!r} takes a list of cells itself; "
                "give each cell with its own --cell"
            )
    return specs
