"""What is tried: the settings that decide most about a small recurrent network."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charrnn_core.runs.config import RunConfig

CELLS = ("lstm", "gru")

DROPOUT = "dropout"
"""How much is dropped, over what the rule has for a training as long as the winner's.

Much less would lead in every short training, and learn by heart in a long one.
"""

WIDTH = "width"
"""The width of the cell, over that by default."""

CHOICES: Mapping[str, tuple[Any, ...]] = {
    WIDTH: (0.75, 1.0, 1.5, 2.0),
    "context": (0, 4, 5, 6, 7, 8),
    DROPOUT: (0.75, 1.0, 1.25, 1.5),
    "batch": (16, 32, 64),
    "window": (32, 64, 128),
}
"""Values of the settings that are chosen from a few."""

RATE = "learning_rate"
"""The learning rate, over that of the optimizer by default."""

LEAST_RATE, MOST_RATE = 0.4, 2.0
_SHARE_CHANGED = 0.6

Settings = dict[str, Any]
"""What a trial tries: values of `CHOICES`, ``cell`` and `RATE`, by name."""


def of_default(cells: Sequence[str]) -> Settings:
    """Return the settings that are tried first: those of a run as long as the winner's.

    >>> of_default(CELLS)
    {'cell': 'lstm', 'context': 6, 'dropout': 1.0, 'batch': 32, 'window': 64, 'learning_rate': 1.0}
    """
    plain = RunConfig()
    return {"cell": cells[0], "context": plain.context, DROPOUT: 1.0, "batch": plain.batch,
            "window": plain.window, RATE: 1.0}  # fmt: skip


def drawn(seed: int, number: int, cells: Sequence[str]) -> Settings:
    """Draw the settings of one trial; they follow from the seed and its number.

    About half of them stay as they are in the first trial, which has what is known to be good: in a
    budget of few trials those that change everything are nearly all worse.

    >>> drawn(0, 3, CELLS) == drawn(0, 3, CELLS), drawn(0, 3, CELLS) == drawn(0, 4, CELLS)
    (True, False)
    """
    draw = random.Random(f"{seed} {number}")
    rate = math.exp(draw.uniform(math.log(LEAST_RATE), math.log(MOST_RATE)))
    new = {name: draw.choice(values) for name, values in CHOICES.items()} | {RATE: rounded(rate)}
    changed = {name: value for name, value in new.items() if draw.random() < _SHARE_CHANGED}
    return {**of_default(cells), **changed, "cell": draw.choice(list(cells))}


def rounded(number: float) -> float:
    """Return a number with two digits, as people write learning rates.

    >>> rounded(0.0041234)
    0.0041
    """
    return float(f"{number:.2g}")


def without(settings: Settings, fixed: Iterable[str]) -> Settings:
    """Return settings without those that a user has fixed.

    >>> without({"cell": "gru:32", "window": 128, "batch": 16}, ["batch"])
    {'cell': 'gru:32', 'window': 128}
    """
    return {name: value for name, value in settings.items() if name not in {*fixed}}
