"""The settings that are tried: those that decide most about a small recurrent network."""

import dataclasses
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.registry.width import WIDTH, states_width
from charrnn_core.runs.config import RunConfig

CELLS = ("lstm", "gru")

CHOICES: Mapping[str, tuple[Any, ...]] = {
    WIDTH: (128, 192, 256, 384, 512),
    "context": (0, 4, 6, 8),
    "dropout_output": (0.0, 0.1, 0.2, 0.3),
    "dropout_context": (0.0, 0.1, 0.2),
    "dropout_rare": (0.0, 0.5, 1.0),
    "batch": (16, 32, 64),
    "window": (32, 64, 128),
}
"""Values of the settings that are chosen from a few."""

RATE = "learning_rate"
LEAST_RATE, MOST_RATE = 1e-3, 1e-2

AVERAGE = 0.99
"""Decay of the average of the parameters, which stands for a rate that falls."""

Settings = dict[str, Any]


def of_default(cells: Sequence[str]) -> Settings:
    """Return the settings that are tried first: those of a run without any options.

    >>> of_default(CELLS)["cell"], of_default(CELLS)["features"]
    ('lstm', 256)
    """
    plain = RunConfig()
    chosen = {"batch": plain.batch, "window": plain.window, "context": plain.context}
    dropped = {name: 0.0 for name in CHOICES if name.startswith("dropout")}
    return {"cell": cells[0], WIDTH: 256, **chosen, **dropped, RATE: 4e-3}


def drawn(seed: int, number: int, cells: Sequence[str]) -> Settings:
    """Draw the settings of one trial; they follow from the seed and its number.

    >>> drawn(0, 3, CELLS) == drawn(0, 3, CELLS), drawn(0, 3, CELLS) == drawn(0, 4, CELLS)
    (True, False)
    """
    draw = random.Random(f"{seed} {number}")
    found: Settings = {"cell": draw.choice(list(cells))}
    found |= {name: draw.choice(values) for name, values in CHOICES.items()}
    rate = math.exp(draw.uniform(math.log(LEAST_RATE), math.log(MOST_RATE)))
    return {**found, RATE: rounded(rate)}


def rounded(rate: float) -> float:
    """Return a learning rate as people write them.

    >>> rounded(0.0041234)
    0.0041
    """
    return float(f"{rate:.2g}")


def config_of(settings: Settings, common: RunConfig, registry: Registry) -> RunConfig:
    """Return the resolved configuration of a trial.

    The learning rate is constant, so that a training of any length is a part of a longer one.

    Arguments:
        settings: what is tried.
        common: the settings that all trials share.
        registry: the plugins.
    """
    others = dict(settings)
    cell, width = Ref.parse(others.pop("cell")), others.pop(WIDTH, None)
    if width is not None:
        cell = cell.with_options({WIDTH: str(width)})
    optimizer = common.optimizer
    if (rate := others.pop(RATE, None)) is not None:
        optimizer = optimizer.with_options({RATE: str(rate)})
    if "schedule" in registry.resolve("optimizer", optimizer).options:
        optimizer = optimizer.with_options({"schedule": "constant"})
    others |= {"cell": cell, "optimizer": optimizer, "average": AVERAGE}
    return dataclasses.replace(common, **others).resolve(registry)


def varied(settings: Settings, fixed: Iterable[str]) -> Settings:
    """Return settings without those that a user has fixed, and without the width of a cell's spec.

    >>> varied({"cell": "gru:32", "features": 128, "batch": 16}, ["batch"])
    {'cell': 'gru:32'}
    """
    left_out = {*fixed, *([WIDTH] if states_width(settings["cell"]) else [])}
    return {name: value for name, value in settings.items() if name not in left_out}


def in_words(settings: Settings) -> str:
    """Return the settings in short.

    >>> in_words({"cell": "lstm", "features": 256, "batch": 32, "dropout_rare": 0.5})
    'lstm:256 batch 32 dropout_rare 0.5'
    """
    width = f":{settings[WIDTH]}" if WIDTH in settings else ""
    others = [
        f"{name} {value:g}" for name, value in settings.items() if name not in ("cell", WIDTH)
    ]
    return " ".join([f"{settings['cell']}{width}", *others])
