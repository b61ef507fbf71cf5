"""The plan of a tuning: how many trials, and how much of the budget each rung of them gets."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core.console.duration import read_minutes
from charrnn_core.errors import OptionError
from charrnn_core.files.atomic import sha256
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref, source_ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.directory import FOLDER
from charrnn_core.runs.settings import read_settings
from charrnn_core.runs.settings_file import read_toml
from charrnn_tune.space import CELLS, CHOICES, RATE
from charrnn_tune.suggest import check_installed

FEWER = 3
"""One of so many trials goes on to the next rung, in which it is trained so many times as long."""

COOLING = 0.25
"""How much longer the winner is trained, while its learning rate falls."""

_NUMBERS = (81, 27, 18, 9, 6, 3)
SECONDS_TO_BEGIN, SECONDS_TO_GO_ON = 7.0, 4.0
"""What a training takes besides its updates: to compile and evaluate, and to do so again."""

_LEAST_SECONDS, _LEAST_CHARACTERS = 40.0, 500_000
"""For how long a trial has to be trained in the first rung."""

_NEVER = 1e9

_MOST_EVALUATED = 200_000
"""Held-out characters of an evaluation: more would take longer and decide no better."""


@dataclass(frozen=True)
class Plan:
    """Everything that defines a tuning.

    Arguments:
        common: the settings that all trials share.
        cells: the cells to try; the first is that of the first trial.
        trials: how many are begun.
        minutes: the budget of all of it in time; None if it is in characters.
        characters: the budget in characters.
        how: how trials are chosen, ``random`` or ``tpe``; see `charrnn_tune.suggest`.
        fixed: the settings that no trial varies.

    >>> plan = Plan(RunConfig(), ("lstm",), 9, minutes=20.0)
    >>> plan.rungs, [plan.length(rung) for rung in range(3)], round(plan.unit, 1)
    ([9, 3, 1], [1, 3, 9], 48.0)
    """

    common: RunConfig
    cells: tuple[str, ...]
    trials: int
    minutes: float | None = None
    characters: int | None = None
    how: str = "random"
    fixed: tuple[str, ...] = ()

    @property
    def rungs(self) -> list[int]:
        """How many trials are in each rung."""
        found = [self.trials]
        while (fewer := found[-1] // FEWER) > 0:
            found.append(fewer)
        return found

    def length(self, rung: int) -> int:
        """Return how long a trial has been trained at the end of a rung, in units."""
        return FEWER**rung

    @property
    def units(self) -> float:
        """How many units all trainings take together."""
        lengths = [self.length(rung) for rung in range(len(self.rungs))]
        steps = [now - before for before, now in zip([0, *lengths], lengths, strict=False)]
        trained = sum(count * step for count, step in zip(self.rungs, steps, strict=True))
        return trained + COOLING * lengths[-1]

    @property
    def unit(self) -> float:
        """What a trial gets in the first rung: seconds of updates, or characters."""
        if self.minutes is None:
            assert self.characters is not None
            return self.characters / self.units
        later = sum(self.rungs[1:]) + 1  # and the cool-down
        besides = SECONDS_TO_BEGIN * self.trials + SECONDS_TO_GO_ON * later
        return (60 * self.minutes - besides) / self.units

    def budget(self, units: float) -> dict[str, Any]:
        """Return the budget of a training of so many units, as settings of a run."""
        if self.minutes is None:
            return {"characters": round(units * self.unit), "minutes": None}
        return {"minutes": (units * self.unit + SECONDS_TO_BEGIN) / 60, "characters": None}

    @property
    def whole(self) -> dict[str, Any]:
        """The budget of the winner's whole training."""
        return self.budget(self.length(len(self.rungs) - 1) * (1 + COOLING))

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        budget = {"minutes": self.minutes, "characters": self.characters}
        return {"common": self.common.table(), "cells": [*self.cells], "trials": self.trials,
                "how": self.how, "fixed": [*self.fixed], **budget}  # fmt: skip

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Plan":
        """Read a plan from its plain form."""
        common = RunConfig.read(table["common"])
        return cls(common, tuple(table["cells"]), int(table["trials"]), table["minutes"],
                   table["characters"], str(table["how"]), tuple(table["fixed"]))  # fmt: skip

    def directory(self) -> Path:
        """Return where it is kept by default; the same plan always has the same place."""
        source = self.common.source
        named = f"{source.use}-{Path(source.argument or '').stem}".strip("-")
        digest = sha256(json.dumps(self.table(), sort_keys=True).encode())
        return FOLDER / f"tune-{named}-{digest[:8]}"


def make_plan(
    budget: str,
    *,
    source: str | None = None,
    split: str | None = None,
    cells: Sequence[str] = (),
    trials: int | None = None,
    seed: int | None = None,
    config: Path | None = None,
    how: str = "random",
    registry: Registry | None = None,
) -> Plan:
    """Make a plan from what a user typed.

    Arguments:
        budget: of the whole tuning: a time such as ``20m``, or ``chars=20M``.
        source, split, seed: settings that all trials share.
        cells: the cells to try.
        trials: how many to begin; by default as many as the budget is enough for.
        config: a TOML file with settings that all trials share; what it has is not varied.
        how: how trials are chosen.
        registry: the plugins; by default those installed.

    Raises:
        UsageError: the request is wrong.

    >>> make_plan("20m").trials, make_plan("chars=20M").trials
    (9, 9)
    """
    registry = registry or Registry.installed()
    given = {"source": source, "split": split, "seed": seed}
    settings = read_settings(config, given, {}, registry=registry)
    if settings.source == source_ref("-"):
        raise OptionError(
            "source is standard input, which can be read only once, but every trial reads the "
            "text; save it to a file"
        )
    minutes, characters = _read_budget(budget)
    quiet = {"observers": (Ref("jsonl"),), "eval_every": _NEVER, "sample_every": _NEVER,
             "keep_last": 1, "eval_characters": min(settings.eval_characters, _MOST_EVALUATED),
             "patience": 0}  # fmt: skip
    none = {"epochs": None, "minutes": None, "characters": characters}
    common = dataclasses.replace(settings, **quiet, **none)
    check_installed(how)
    cell, fixed = _fixed(config)
    plan = Plan(common, tuple(cells) or cell or CELLS, 1, minutes, characters, how, fixed)
    least = _LEAST_CHARACTERS if minutes is None else _LEAST_SECONDS
    fitting = [dataclasses.replace(plan, trials=number) for number in _NUMBERS]
    enough = [each for each in fitting if each.unit >= least]
    if trials is None and not enough:
        fewest = fitting[-1]
        needed = 60 * (minutes or 0.0) + fewest.units * (least - fewest.unit)
        needed = needed if minutes is not None else fewest.units * least
        wanted = f"chars={needed:.0f}" if minutes is None else f"{needed / 60:.1f}m"
        raise OptionError(
            f"budget {budget!r} is too short to compare anything: {fitting[-1].trials} trials need "
            f"{wanted} or more"
        )
    plan = enough[0] if trials is None else dataclasses.replace(plan, trials=trials)
    for cell in plan.cells:  # report a wrong name before anything is trained
        registry.resolve("cell", Ref.parse(cell))
    return plan


def _fixed(config: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cell that a file of settings names, and the settings that it has."""
    if config is None:
        return (), ()
    table = read_toml(config)
    optimizer = table.get("optimizer")
    has_rate = isinstance(optimizer, dict) and RATE in optimizer
    found = [name for name in CHOICES if name in table]
    cell = (table["cell"],) if isinstance(table.get("cell"), str) else ()
    return cell, (*found, *([RATE] if has_rate else []))


def _read_budget(text: str) -> tuple[float | None, int | None]:
    """Return minutes, or characters."""
    if (minutes := read_minutes(text)) is not None:
        return minutes, None
    name, equals, value = text.partition("=")
    if name not in ("chars", "characters") or not equals:
        raise OptionError(
            f"budget {text!r} is malformed; expected a time such as 20m or 1h, or chars=20M"
        )
    return None, RunConfig.read({"characters": value}).characters
