"""What is compared: cells, a text, a budget, seeds; how it is typed, kept and told apart."""

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
from charrnn_core.runs.settings import read_settings

DEFAULT_SEEDS = 3
DEFAULT_MINUTES = 1.0

FIRST_UPDATE, START = "first update", "start"

_NEVER = 1e9
_LABEL = 40


@dataclass(frozen=True)
class Plan:
    """All that decides a benchmark.

    Arguments:
        cells: the specs of the cells that are compared, each once.
        seeds: how often each is trained: with the seeds 0 to `seeds` - 1.
        settings: those of every training, but for its cell and seed.
        clock: what a time of the clock begins with: a training's first update, or its start, as in
            benchmarks that an earlier version has begun.

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

    def config(self, cell: str, seed: int = 0) -> RunConfig:
        """The configuration of one training."""
        return dataclasses.replace(self.settings, cell=Ref.parse(cell), seed=seed)

    def table(self) -> dict[str, Any]:
        """The plain form, for JSON."""
        return {**self._asked(), "clock": self.clock}

    def _asked(self) -> dict[str, Any]:
        """What a user decides."""
        return {"cells": list(self.cells), "seeds": self.seeds, "settings": self.common()}

    def common(self) -> dict[str, Any]:
        """The settings that all trainings share, in their plain form."""
        table = self.settings.table()
        return {name: value for name, value in table.items() if name not in ("cell", "seed")}

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Plan":
        """The plan that `table` gave."""
        settings, clock = RunConfig.read(table["settings"]), str(table.get("clock", START))
        return cls(tuple(table["cells"]), table["seeds"], settings, clock)

    def differences(self, then: "Plan") -> list[str]:
        """What is not as in another plan, a phrase for each.

        >>> settings = RunConfig(minutes=1)
        >>> Plan(("elman",), 3, settings).differences(Plan(("elman",), 2, settings))
        ['seeds was 2 and is 3']
        """
        now, before = ({**plan._asked(), **plan.common()} for plan in (self, then))
        return [
            f"{key} was {_shown(before.get(key))} and is {_shown(now.get(key))}"
            for key in sorted((now.keys() | before.keys()) - {"settings"})
            if now.get(key) != before.get(key)
        ]

    def directory(self) -> Path:
        """Where it is kept by default: the same plan has the same place.

        >>> str(Plan(("elman",), 3, RunConfig(minutes=1)).directory())
        'runs/bench-python-docs-...'
        """
        source = self.settings.source
        named = f"{source.use}-{Path(source.argument or '').stem}"
        digest = sha256(json.dumps(self._asked(), sort_keys=True).encode())
        return Path("runs") / f"bench-{label(named)}-{digest[:8]}"


def _shown(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)


def label(text: str) -> str:
    """What of a text can stand in the name of a file.

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
    """Read what a user typed; every name and option is looked up, so that a wrong one is told.

    Arguments:
        lists: cells separated by commas.
        specs: cells one by one; these may have commas in them.
        source, split: the text and what of it is held out; None is the default of a run.
        budget: see `charrnn_bench.budget.read_budget`.
        config: a TOML file of settings of a run. Its cell and its seed do not count.

    Raises:
        UsageError: the leaf says what is wrong.

    >>> make_plan(["elman:8,gru:8"], ["stacked:lstm:8,lstm:8"], budget=["chars=20k"]).cells
    ('elman:8', 'gru:8', 'stacked:lstm:8,lstm:8')
    """
    given = {"source": source, "split": split, **read_budget(budget)}
    settings = read_settings(config, given, {})
    if settings.source == source_ref("-"):
        raise OptionError(
            "source is standard input, which can be read only once, and every training reads the "
            "text; save it to a file"
        )
    changes: dict[str, Any] = {}
    if all(getattr(settings, name) is None for name in BUDGETS):
        changes["minutes"] = DEFAULT_MINUTES
    if settings.sample_every is None:  # nobody reads them, and a wall-clock budget pays for them
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
        raise OptionError("no cell is given; expected --cells LIST or --cell SPEC, or both")
    return dataclasses.replace(plan, cells=tuple(cells))


def _split(text: str, plan: Plan) -> list[str]:
    """The cells of a list; one that takes a list itself can only be its last."""
    specs = [spec.strip() for spec in text.split(",")]
    for spec in specs[:-1]:
        options = plan.config(spec).resolve().cell.options.values()
        if any(isinstance(inner, Ref) for value in options if isinstance(value, tuple)
               for inner in value):  # fmt: skip
            raise OptionError(
                f"--cells {text!r} can be read in two ways, for {spec!r} takes a list of cells "
                "itself; give each cell with a --cell of its own"
            )
    return specs
