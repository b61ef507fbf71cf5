"""Successive halving: all trials for a while, the best of them for longer, and so on.

Source: Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016, arXiv 1502.07943. Deviation: a trial that goes on is resumed, to the bit, so
that nothing is trained twice; from the second rung on who promises most goes on, see
`charrnn_tune.journal.Journal.promise`; the winner is trained a while longer with a rate that falls.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import jax

from charrnn_core.errors import TrainingError
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from charrnn_core.signals import Interrupt
from charrnn_tune.decide import Decisions
from charrnn_tune.journal import Journal, Result
from charrnn_tune.plan import COOLING, FEWER, SECONDS_TO_GO_ON
from charrnn_tune.space import without
from charrnn_tune.suggest import suggested
from charrnn_tune.trial import Trial

_LONGEST_COOLING = 1.0
"""At most so many times as long as it was trained the winner is cooled down."""

_DRAWS = 20
"""How often at most a trial is drawn until it is none of those before."""

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

    def config(self, number: int) -> RunConfig:
        """Return the run that a trial is, but for its length; once decided, it stays.

        It is another than those before, unless there is hardly any other.
        """
        journal, plan = self.journal, self.journal.plan
        if number not in journal.runs:
            before = [
                (journal.settings[trial], its.nats)
                for (trial, rung), its in sorted(journal.results.items())
                if rung == 0 and math.isfinite(its.nats)
            ]
            for draw in range(number, _DRAWS * plan.trials, plan.trials):
                tried = suggested(plan.how, plan.common.seed, draw, plan.cells, before)
                run = self._decisions.run_of(without(tried, plan.fixed)).table()
                journal.settings[number], journal.runs[number] = tried, run
                if all(run != journal.runs[other] for other in range(number)):
                    break
            journal.write()
        return RunConfig.read(journal.runs[number])

    @cached_property
    def _decisions(self) -> Decisions:
        return Decisions(self.journal.plan, self.registry)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number."""
        return Trial(self.config(number), self.directory / "trials" / f"{number:03d}",
                     self.registry, self.interrupt)  # fmt: skip

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
            if rung + 1 < len(plan.rungs):
                alive = self.going_on(rung)
                for number in {*ranking} - {*alive}:
                    self.trial(number).remove_checkpoints()
        is_new = self.journal.cooled is None
        if self.journal.cooled is None:
            self._cool_down()
            self.journal.write()
        tell(f"trial {self.winner}, cooled down: {_nats(self.cooled)}", plan.units, is_new)

    def going_on(self, rung: int) -> list[int]:
        """Return the trials of the next rung: of those that have not failed, who promise most.

        The first trial stays for a second rung: it is made for a long training, not a short one.
        """
        results, room = self.journal.results, self.journal.plan.rungs[rung + 1]
        ranking = self.journal.ranking(rung)
        good = [number for number in ranking if math.isfinite(results[number, rung].nats)]
        good.sort(key=lambda number: self.journal.promise(number, rung))
        if rung == 0 and room > 1 and 0 in good[room:]:
            return [*good[: room - 1], 0]
        return good[:room]

    @property
    def winner(self) -> int:
        """The number of the best trial of the last rung."""
        return self.journal.ranking(len(self.journal.plan.rungs) - 1)[0]

    @property
    def reached(self) -> Result:
        """What the winner had reached before its cool-down."""
        return self.journal.results[self.winner, len(self.journal.plan.rungs) - 1]

    @property
    def cooled(self) -> Result:
        """What the winner has reached after it."""
        assert self.journal.cooled is not None
        return self.journal.cooled

    def _reach(self, number: int, rung: int) -> None:
        began, trial, plan = time.monotonic(), self.trial(number), self.journal.plan
        budget = plan.budget(1.0)
        if rung:
            before = self.journal.results[number, rung - 1].characters
            budget = {"characters": FEWER * before, "minutes": None}
        result = trial.reach(budget)
        jax.clear_caches()  # another trial has other shapes
        result = replace(result, seconds=time.monotonic() - began)
        self.journal.results[number, rung] = result
        self.journal.write()

    def _cool_down(self) -> None:
        """Train the winner while its rate falls, for what is left of a budget in time."""
        journal, reached, began = self.journal, self.reached, time.monotonic()
        if journal.total is None:
            longer = COOLING
            if journal.plan.minutes is not None:
                used = sum(result.seconds for result in journal.results.values())
                left = 60 * journal.plan.minutes - used - SECONDS_TO_GO_ON
                longer = min(_LONGEST_COOLING, max(COOLING, left / reached.updating))
            journal.total = round(reached.characters * (1 + longer))
            journal.write()
        result = self.trial(self.winner).cool_down(reached, journal.total)
        journal.cooled = replace(result, seconds=time.monotonic() - began)


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
