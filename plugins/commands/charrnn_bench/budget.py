"""The budget that every cell gets: parse it, check that it is long enough, describe it."""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

from charrnn_core.console.duration import read_minutes
from charrnn_core.errors import CharRNNError, OptionError
from charrnn_core.runs.config import RunConfig

_START_UPS = 3
_FEWEST_UPDATES = 20
_SETTINGS = {
    "chars": "characters",
    "characters": "characters",
    "params": "parameters",
    "parameters": "parameters",
}


def read_budget(texts: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a run that a budget stands for.

    A time or a number of characters sets the length of a training, a number of parameters the size
    of its network.

    Arguments:
        texts: such as ``"60s"``, ``"chars=50M"`` or ``"2m,params=1M"``.

    Raises:
        OptionError: one is malformed, or sets what another has set.

    >>> read_budget(["90s", "params=1M"])
    {'minutes': 1.5, 'parameters': '1M'}
    """
    found: dict[str, Any] = {}
    for text in chain.from_iterable(text.split(",") for text in texts):
        name, value = _read(text.strip())
        if name in found or {name, *found} >= {"minutes", "characters"}:
            raise OptionError(
                f"budget {text.strip()!r} conflicts with an earlier one; expected one time or one "
                "number of characters, and at most one number of parameters"
            )
        found[name] = value
    return found


def _read(text: str) -> tuple[str, Any]:
    if (minutes := read_minutes(text)) is not None:
        return "minutes", minutes
    name, equals, value = text.partition("=")
    if not equals or name not in _SETTINGS:
        raise OptionError(
            f"budget {text!r} is malformed; expected a time such as 60s, 2m or 1h, or chars=50M, "
            "or params=1M"
        )
    return _SETTINGS[name], value


class BudgetError(CharRNNError):
    """Trainings of this length are too short to compare."""


def check_budget(seconds: float, title: str, start_up: float | None, updates: int | None) -> None:
    """Check that a wall-clock budget is long enough to compare cells.

    With only a few start-ups' worth of time, or a few updates, the result depends on what else the
    machine was doing.

    Arguments:
        seconds: the budget.
        title: the name of the training that was measured.
        start_up: its seconds up to the first update; None if unknown.
        updates: the number of its updates.

    Raises:
        BudgetError: it is too short; the message says how long it has to be.

    >>> check_budget(60.0, "elman, seed 0", 5.0, 3000)
    >>> check_budget(10.0, "elman, seed 0", 12.0, 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    charrnn_bench.budget.BudgetError: ... give each cell --budget 100s or more
    """
    enough = max(_START_UPS * (start_up or 0.0), seconds * _FEWEST_UPDATES / max(1, updates or 1))
    if start_up is None or seconds >= enough:
        return
    needed = math.ceil(enough / 5) * 5
    made = f"{updates:,} update{'s' if updates != 1 else ''}"
    raise BudgetError(
        f"{seconds:g} s are too short for a comparison: {title}, took {start_up:.0f} s to start "
        f"and made {made}, so the machine matters more than the cell; give each cell --budget "
        f"{needed}s or more"
    )


def describe_budget(settings: RunConfig, clock: str) -> str:
    """Describe a training's budget in words.

    Arguments:
        settings: the settings of the training.
        clock: the event from which a time counts.

    >>> describe_budget(RunConfig(minutes=0.5, parameters=10**6), "start")
    '30 s from its start, at most 1,000,000 parameters'
    >>> describe_budget(RunConfig(characters="20k"), "start")
    '20,000 characters'
    """
    words = []
    if (minutes := settings.minutes) is not None:
        time = f"{60 * minutes:g} s" if minutes < 2 else f"{minutes:g} min"
        words.append(f"{time} from its {clock}")
    if settings.characters is not None:
        words.append(f"{settings.characters:,} characters")
    if settings.epochs is not None:
        words.append(f"{settings.epochs:g} epochs")
    if isinstance(settings.parameters, int):
        words.append(f"at most {settings.parameters:,} parameters")
    return ", ".join(words)
