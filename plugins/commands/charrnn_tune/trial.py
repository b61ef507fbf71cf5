"""A trial: a training that goes on from rung to rung, by exact resume."""

import contextlib
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn_core import api
from charrnn_core.errors import RunCompleteError, TrainingError
from charrnn_core.files.regular import own, read_own
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.attempt import attempt, new_budget
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.runs.writer import RunWriter
from charrnn_core.signals import Interrupt
from charrnn_tune.journal import Result

_FINAL = 0.05
_MARGIN, _MOST_HELD = 2, 0.99


class TuningInterrupted(Exception):
    """A signal has stopped a training; it has saved."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Arguments:
        config: what it trains, resolved, but for its length.
        directory: its run directory.
        registry: the plugins.
        interrupt: hears of signals during a training.
    """

    config: RunConfig
    directory: Path
    registry: Registry
    interrupt: Interrupt

    def reach(self, budget: dict[str, Any]) -> Result:
        """Train until a budget of the whole training is used up.

        What fails has an infinite loss.

        Arguments:
            budget: settings of a run: characters, or minutes.

        Raises:
            TuningInterrupted: a signal came; all is saved.
        """
        config = dataclasses.replace(self.config, **budget)
        try:
            # Complete if it was killed before the journal had its result.
            with (
                contextlib.suppress(RunCompleteError),
                attempt(config, self.directory, self.registry, note=_nothing) as writer,
            ):
                if writer.config is None:
                    self._resume(writer, budget=new_budget(writer, config))
                else:
                    options = self._quietly()
                    self._check(api.train(out=writer, registry=self.registry, **options))
        except TrainingError as error:
            return Result(math.inf, 0, 0, 0.0, error=str(error))
        return self._ended()

    def _ended(self) -> Result:
        """Read what has come of a training that ended; its seconds are not known here."""
        files = RunDirectory(self.directory)
        found = json.loads(read_own(files.evaluation_file))
        row = json.loads(read_own(files.metrics_file).splitlines()[-1])
        nats = found["nats_per_char"]
        return Result(math.inf if nats is None else nats, row["characters"], found["step"], 0.0,
                      found["updates_seconds"])  # fmt: skip

    def cool_down(self, reached: Result, total: int) -> Result:
        """Train on to `total` characters while the learning rate falls.

        Arguments:
            reached: what it has reached.
            total: how many characters in all.
        """
        with RunWriter.resuming(self.directory) as writer:
            trained = RunConfig.read(read_toml(writer.config_file, own))
            writer.write_config(cooling(trained, reached, total), self.registry)
            with contextlib.suppress(RunCompleteError):
                self._resume(writer, allow=("config",))
        return self._ended()

    def remove_checkpoints(self) -> None:
        """Remove what nothing needs again: a checkpoint of a large network has 100 MB and more."""
        for file in RunDirectory(self.directory).saved():
            file.unlink(missing_ok=True)

    def _resume(self, writer: RunWriter, **how: Any) -> None:
        self._check(api.resume(writer, registry=self.registry, **how, **self._quietly()))

    def _quietly(self) -> dict[str, Any]:
        return {"note": _nothing, "observers": [self.interrupt], "baselines": False,
                "stop": self.interrupt}  # fmt: skip

    def _check(self, trained: api.Trained) -> None:
        del trained  # what it reached is in its directory
        if self.interrupt():
            raise TuningInterrupted


def cooling(config: RunConfig, reached: Result, total: int) -> RunConfig:
    """Return the configuration whose rate is constant until `reached`, then falls until `total`.

    A training with it from the start has the same bits as one that was cooled down later.
    """
    options = config.optimizer.options
    if "schedule" in options:
        warmup, each = options.get("warmup", 0), reached.updates / reached.characters
        # A little later than it was reached, since no rate of before may change.
        hold = (reached.updates + _MARGIN - warmup) / max(1.0, each * total - warmup)
        how = {"schedule": "exponential", "hold": str(min(_MOST_HELD, max(0.0, hold)))}
        config = dataclasses.replace(
            config, optimizer=config.optimizer.with_options({**how, "final": str(_FINAL)})
        )
    return dataclasses.replace(config, characters=total, minutes=None)


def _nothing(line: str) -> None:
    del line
