"""Successive halving: all trials for a while, the best of them for longer, and so on.

Source: Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016, arXiv 1502.07943. Deviation: a trial that goes on is resumed, to the bit, so
that nothing is trained twice; and the winner is trained a while longer with a rate that falls.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax

from charrnn_core.errors import TrainingError
from charrnn_core.registry.registry import Registry
from charrnn_core.signals import Interrupt
from charrnn_tune.journal import Journal, Result
from charrnn_tune.plan import COOLING
from charrnn_tune.space import Settings, config_of, varied
from charrnn_tune.suggest import suggested
from charrnn_tune.trial import Trial

_SECONDS_BESIDES = 8.0
"""What the first trial takes besides its updates, until that is known: to compile, to evaluate."""

Tell = Callable[[str, float, bool], None]
"""Called with a line about a training, the units that are done, and whether it was made now."""


@dataclass
class Tuning:
    """A tuning in its directory, which has ``journal.json`` and ``trials/``.

    Arguments:
        directory: where it is kept.
        journal: what is known.
        registry: the plugins.
        interrupt: hears of signals during a training.
    """

    directory: Path
    journal: Journal
    registry: Registry
    interrupt: Interrupt

    def _settings(self, number: int) -> Settings:
        """Return what a trial tries; once chosen, it stays."""
        journal, plan = self.journal, self.journal.plan
        if number not in journal.settings:
            before = [
                (journal.settings[trial], its.nats)
                for (trial, rung), its in sorted(journal.results.items())
                if rung == 0 and math.isfinite(its.nats)
            ]
            seed = plan.common.seed
            journal.settings[number] = suggested(plan.how, seed, number, plan.cells, before)
            journal.write()
        return journal.settings[number]

    def varied(self, number: int) -> Settings:
        """Return what a trial tries, without what is the same for all."""
        return varied(self._settings(number), self.journal.plan.fixed)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number."""
        config = config_of(self.varied(number), self.journal.plan.common, self.registry)
        return Trial(config, self.directory / "trials" / f"{number:03d}", self.registry,
                     self.interrupt)  # fmt: skip

    def run(self, tell: Tell) -> None:
        """Run whatever the journal does not have yet.

        Raises:
            TuningInterrupted: a signal came; all is saved.
            TrainingError: every trial failed.
        """
        plan, alive = self.journal.plan, range(self.journal.plan.trials)
        units = 0.0
        for rung, _ in enumerate(plan.rungs):
            for number in alive:
                is_new = (number, rung) not in self.journal.results
                if is_new:
                    self._reach(number, rung)
                units += plan.length(rung) - (plan.length(rung - 1) if rung else 0)
                result = self.journal.results[number, rung]
                tell(f"rung {rung + 1}, trial {number}: {_nats(result)}", units, is_new)
            ranking = self.journal.ranking(rung)
            if math.isinf(self.journal.results[ranking[0], rung].nats):
                why = self.journal.results[ranking[0], rung].error
                raise TrainingError(f"every trial failed; the first, because: {why}")
            alive = ranking[: plan.rungs[rung + 1]] if rung + 1 < len(plan.rungs) else alive
        is_new = self.journal.cooled is None
        if self.journal.cooled is None:
            self.journal.cooled = self.trial(self.winner).cool_down(*self.lengths)
            self.journal.write()
        tell(f"trial {self.winner}, cooled down: {_nats(self.journal.cooled)}", plan.units, is_new)

    @property
    def winner(self) -> int:
        """The number of the best trial of the last rung."""
        return self.journal.ranking(len(self.journal.plan.rungs) - 1)[0]

    @property
    def lengths(self) -> tuple[int, int]:
        """How many characters the winner has read before its cool-down, and after it."""
        last = len(self.journal.plan.rungs) - 1
        before = self.journal.results[self.winner, last].characters
        return before, round(before * (1 + COOLING))

    def _reach(self, number: int, rung: int) -> None:
        began, trial, plan = time.monotonic(), self.trial(number), self.journal.plan
        if number not in self.journal.units:
            self.journal.units[number] = self._unit(trial)
            self.journal.write()
        result = trial.reach(self.journal.units[number] * plan.length(rung))
        jax.clear_caches()  # another trial has other shapes
        result = replace(result, seconds=time.monotonic() - began)
        self.journal.results[number, rung] = result
        self.journal.write()

    def _unit(self, trial: Trial) -> int:
        """Return how many characters a unit is for a trial, whose speed is measured if need be."""
        plan = self.journal.plan
        if plan.minutes is None:
            return round(plan.unit)
        try:
            speed = trial.characters_per_second()
        except TrainingError:
            speed = 1.0
        firsts = [its for (_, rung), its in self.journal.results.items() if rung == 0]
        besides = [its.seconds - its.updating for its in firsts] or [_SECONDS_BESIDES]
        seconds = max(plan.unit / 2, plan.unit - statistics.fmean(besides))
        return max(1, round(seconds * speed))


def correlations(journal: Journal) -> Sequence[float]:
    """Return Spearman's rank correlation of each rung with the next, over trials of both."""
    from scipy.stats import spearmanr

    found = []
    for rung in range(1, len(journal.plan.rungs)):
        both = journal.ranking(rung)
        pairs = [(journal.results[n, rung - 1].nats, journal.results[n, rung].nats) for n in both]
        found.append(float(spearmanr(*zip(*pairs, strict=True))[0]) if len(pairs) > 2 else math.nan)  # pyright: ignore
    return found


def _nats(result: Result) -> str:
    return result.error or f"{result.nats:.4f} nats"
