"""Budgets: what every cell gets alike, as a user types it, as settings of a run, and in words."""

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from charrnn_core.errors import OptionError
from charrnn_core.run import RunConfig

_TIME = re.compile(r"(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?P<unit>s|m|min|h)")
_MINUTES = {"s": 1 / 60, "m": 1.0, "min": 1.0, "h": 60.0}
_SETTINGS = {
    "chars": "characters",
    "characters": "characters",
    "params": "parameters",
    "parameters": "parameters",
}


def read_budget(texts: Iterable[str]) -> dict[str, Any]:
    """The settings of a run that a budget stands for.

    A time or a number of characters says how long a training is, a number of parameters how large
    its network.

    Arguments:
        texts: such as ``"60s"``, ``"chars=50M"`` or ``"2m,params=1M"``.

    Raises:
        OptionError: one is none of these, or says again what another has said.

    >>> read_budget(["90s", "params=1M"])
    {'minutes': 1.5, 'parameters': '1M'}
    """
    found: dict[str, Any] = {}
    for text in chain.from_iterable(text.split(",") for text in texts):
        name, value = _read(text.strip())
        if name in found or {name, *found} >= {"minutes", "characters"}:
            raise OptionError(
                f"budget {text.strip()!r} comes after another that settles this already; expected "
                "one time or one number of characters, and at most one number of parameters"
            )
        found[name] = value
    return found


def _read(text: str) -> tuple[str, Any]:
    if time := _TIME.fullmatch(text):
        return "minutes", float(time["number"]) * _MINUTES[time["unit"]]
    name, equals, value = text.partition("=")
    if not equals or name not in _SETTINGS:
        raise OptionError(
            f"budget {text!r} cannot be read; expected a time such as 60s, 2m or 1h, or chars=50M, "
            "or params=1M"
        )
    return _SETTINGS[name], value


def describe_budget(settings: RunConfig) -> str:
    """What a training gets, in words.

    >>> describe_budget(RunConfig(minutes=0.5, parameters=10**6))
    '30 s, at most 1,000,000 parameters'
    >>> describe_budget(RunConfig(characters="20k"))
    '20,000 characters'
    """
    words = []
    if (minutes := settings.minutes) is not None:
        words.append(f"{60 * minutes:g} s" if minutes < 2 else f"{minutes:g} min")
    if settings.characters is not None:
        words.append(f"{settings.characters:,} characters")
    if settings.epochs is not None:
        words.append(f"{settings.epochs:g} epochs")
    if settings.parameters is not None:
        words.append(f"at most {settings.parameters:,} parameters")
    return ", ".join(words)
