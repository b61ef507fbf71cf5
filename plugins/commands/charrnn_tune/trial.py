"""A trial: a training that goes on from rung to rung, by exact resume."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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

_PROBE_SECONDS = 3.0
_FINAL = 0.05


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

    def characters_per_second(self) -> float:
        """Train for some seconds, which count, and return how fast that was."""
        began: list[float] = []

        def enough() -> bool:
            began.append(time.monotonic())
            return self.interrupt() or began[-1] - began[0] > _PROBE_SECONDS

        with self._opened(10**12) as writer:
            self._train(writer, 10**12, enough)
        rows = read_own(RunDirectory(self.directory).metrics_file).splitlines()
        return json.loads(rows[-1])["characters_per_second"]

    def reach(self, characters: int) -> Result:
        """Train until so many characters have been read in all.

        What fails has an infinite loss.

        Raises:
            TuningInterrupted: a signal came; all is saved.
        """
        began = time.monotonic()
        try:
            # Complete if it was killed before the journal had its result.
            with contextlib.suppress(RunCompleteError), self._opened(characters) as writer:
                self._train(writer, characters, self.interrupt)
        except TrainingError as error:
            return Result(math.inf, characters, time.monotonic() - began, error=str(error))
        return self._ended(characters, began)

    def _ended(self, characters: int, began: float) -> Result:
        """Read what has come of a training that ended."""
        found = json.loads(read_own(RunDirectory(self.directory).evaluation_file))
        nats = found["nats_per_char"]
        seconds = time.monotonic() - began
        return Result(math.inf if nats is None else nats, characters, seconds,
                      found["updates_seconds"])  # fmt: skip

    def cool_down(self, characters: int, total: int) -> Result:
        """Train on to `total` characters while the learning rate falls.

        Arguments:
            characters: how many it has been trained on.
            total: how many in all.
        """
        began = time.monotonic()
        with RunWriter.resuming(self.directory) as writer:
            trained = RunConfig.read(read_toml(writer.config_file, own))
            writer.write_config(cooling(trained, characters, total), self.registry)
            with contextlib.suppress(RunCompleteError):
                self._resume(writer, self.interrupt, allow=("config",))
        return self._ended(total, began)

    def _opened(self, characters: int):
        config = dataclasses.replace(self.config, characters=characters)
        return attempt(config, self.directory, self.registry, note=_nothing)

    def _train(self, writer: RunWriter, characters: int, stop: Callable[[], bool]) -> api.Trained:
        if writer.config is None:
            config = dataclasses.replace(self.config, characters=characters)
            return self._resume(writer, stop, budget=new_budget(writer, config))
        return self._checked(
            api.train(out=writer, stop=stop, registry=self.registry, **self._quietly())
        )

    def _resume(self, writer: RunWriter, stop: Callable[[], bool], **how) -> api.Trained:
        return self._checked(
            api.resume(writer, stop=stop, registry=self.registry, **how, **self._quietly())
        )

    def _quietly(self):
        return {"note": _nothing, "observers": [self.interrupt], "baselines": False}

    def _checked(self, trained: api.Trained) -> api.Trained:
        if self.interrupt():
            raise TuningInterrupted
        return trained


def cooling(config: RunConfig, characters: int, total: int) -> RunConfig:
    """Return the configuration whose rate is constant for `characters`, then falls until `total`.

    A training with it from the start has the same bits as one that was cooled down later.
    """
    options = config.optimizer.options
    if "schedule" in options:
        each = config.batch * config.window
        warmup = options.get("warmup", 0)
        done, all = -(-characters // each) - warmup, -(-total // each) - warmup
        how = {"schedule": "exponential", "hold": str(max(0.0, done / max(1, all)))}
        config = dataclasses.replace(
            config, optimizer=config.optimizer.with_options({**how, "final": str(_FINAL)})
        )
    return dataclasses.replace(config, characters=total)


def _nothing(line: str) -> None:
    del line
