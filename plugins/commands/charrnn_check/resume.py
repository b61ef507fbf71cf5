"""Check in seconds that a run of this cell and optimizer resumes bit for bit."""

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.events import Sampled, TimeSpent
from charrnn_core.files.checkpoint import Arrays
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.training.train import resume, train

_UPDATES = 12
_STOP_AFTER = 5
_CLOCKED = ("characters_per_second", *TimeSpent().table())
"""The fields of the metrics log that depend on the clock."""


@dataclass(frozen=True)
class Verdict:
    """What `check_resume` found.

    Arguments:
        compared: how many arrays, rows of the metrics log and samples were compared.
        differences: what was not the same, one line each.
    """

    compared: dict[str, int]
    differences: tuple[str, ...]

    @property
    def exact(self) -> bool:
        return not self.differences

    def lines(self) -> list[str]:
        """Return the verdict in words."""
        counts = ", ".join(f"{count} {what}" for what, count in self.compared.items())
        if self.exact:
            return [
                f"resume is exact: {_UPDATES} updates in one go, and with a stop after "
                f"{_STOP_AFTER}, gave the same bits ({counts})"
            ]
        return [
            f"resume is NOT exact ({counts} compared): the cell, the optimizer or the loss keeps "
            "something outside its state, or is not deterministic",
            *(f"  {line}" for line in self.differences),
        ]


def check_resume(config: RunConfig, **more: Any) -> Verdict:
    """Train a few updates in one go and with a stop in the middle, and compare every bit.

    Arguments:
        config: the run whose components are checked.
        more: further arguments of `charrnn_core.train` and `charrnn_core.resume`.

    Raises:
        CharRNNError: the configuration is wrong, or the text cannot be read.

    Example::

        check_resume(RunConfig(cell="mycell:64", optimizer="adamw")).exact
    """
    config = _short(config)
    with tempfile.TemporaryDirectory() as parent:
        straight, halted = Path(parent, "straight"), Path(parent, "halted")
        one, other = _Samples(), _Samples()
        how: dict[str, Any] = {**more, "updates_per_call": 1, "note": lambda _: None}
        train(config, out=straight, observers=[one], **how)
        train(config, out=halted, observers=[other], stop=_after(_STOP_AFTER), **how)
        resume(halted, observers=[other], **how)
        arrays = [open_checkpoint(run, lambda _: None)[1].arrays for run in (straight, halted)]
        rows = [_rows(run / "metrics.jsonl") for run in (straight, halted)]
        differences = [
            *_different_arrays(*arrays),
            *_different("row of metrics.jsonl", *rows),
            *_different("sample", one.texts, other.texts),
        ]
        compared = {
            "arrays": len(arrays[0]),
            "metrics rows": len(rows[0]),
            "samples": len(one.texts),
        }
    return Verdict(compared, tuple(differences))


def _short(config: RunConfig) -> RunConfig:
    """Return the run cut to a few updates, with an evaluation and a sample every other one."""
    return dataclasses.replace(
        config,
        characters=_UPDATES * config.batch * config.window,
        epochs=None,
        minutes=None,
        eval_every=None,
        sample_every=None,
        eval_characters=min(config.eval_characters, 2000),
        sample_length=min(config.sample_length, 20),
        patience=0,
        observers=(Ref("jsonl"),),
    )


def _after(updates: int) -> Callable[[], bool]:
    asked = itertools.count()
    return lambda: next(asked) >= updates


class _Samples:
    """An observer that keeps what the model wrote."""

    def __init__(self) -> None:
        self.texts: list[Any] = []

    def on_sample(self, event: Sampled) -> None:
        self.texts.append((event.step, event.text))


def _rows(path: Path) -> list[Any]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in _CLOCKED} for row in rows]


def _different_arrays(one: Arrays, other: Arrays) -> Iterator[str]:
    for path in sorted(one.keys() | other.keys()):
        if path not in one or path not in other:
            yield f"{path} is in only one of the two"
        elif one[path].tobytes() != other[path].tobytes():
            largest = np.abs(one[path].astype(np.float64) - other[path].astype(np.float64)).max()
            yield f"{path} differs by up to {largest:.3g}"


def _different(what: str, one: list[Any], other: list[Any]) -> Iterator[str]:
    for number, (a, b) in enumerate(itertools.zip_longest(one, other), start=1):
        if a != b:
            yield f"{what} {number} is {b} instead of {a}"
