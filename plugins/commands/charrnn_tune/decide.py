"""From what a trial tries to the run that it is, with all that text and length decide."""

import dataclasses
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from charrnn_core.devices import operations_per_second
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.registry.width import scale_cell, widths
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.model import build_network
from charrnn_core.runs.rates import AUTO, decided
from charrnn_core.text.alphabet import ALPHABETS, Alphabet, Ids
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.text.split import Split
from charrnn_core.training.batches import Streams
from charrnn_core.training.by_length import decided_by_length
from charrnn_core.training.fitting import with_context_rows, with_fitting_geometry
from charrnn_core.training.policy import Budget
from charrnn_tune.plan import Plan
from charrnn_tune.space import DROPOUT, RATE, WIDTH, Settings, rounded

_AVERAGE = 0.99
"""Decay of the average of the parameters, which stands for a rate that falls."""

_MOST = {"dropout_output": 0.9, "dropout_context": 0.9, "dropout_rare": 32.0}


@dataclass(frozen=True)
class Decisions:
    """Decides what the runs of a tuning are.

    Arguments:
        plan: the plan of the tuning.
        registry: the plugins.
    """

    plan: Plan
    registry: Registry

    @cached_property
    def _text(self) -> tuple[Alphabet, Ids, RunConfig]:
        """The symbols of the text, its training part, and what all runs share, fitted to it."""
        common = self.plan.common
        corpus = read_corpus(common.source, self.registry, _nothing)
        alphabet = ALPHABETS[common.alphabet].of(corpus.symbols)
        ids = encode_corpus(corpus, alphabet, "error", _nothing)
        return alphabet, Split.named(common.split).training(ids), with_context_rows(common, corpus)

    def run_of(self, settings: Settings) -> RunConfig:
        """Return the run of a trial, resolved but for its length.

        Its learning rate is constant, so that a training of any length is a part of a longer one;
        nothing of it is left to its length, but decided for that of the winner's.

        Arguments:
            settings: what the trial tries, without what is fixed.

        Raises:
            CharRNNError: the settings do not fit together.
        """
        others = dict(settings)
        cell = Ref.parse(others.pop("cell"))
        width, dropout = others.pop(WIDTH, None), others.pop(DROPOUT, 1.0)
        others["optimizer"] = self._optimizer(others.pop(RATE, None))
        open_rates = {name for name in _MOST if getattr(self.plan.common, name) == AUTO}
        others["average"] = self.plan.common.average or _AVERAGE
        config = dataclasses.replace(self.plan.common, cell=cell, **others)
        config = self._by_length(config.resolve(self.registry), width)
        scaled = {name: min(most, rounded(dropout * decided(getattr(config, name))))
                  for name, most in _MOST.items() if name in open_rates}  # fmt: skip
        return dataclasses.replace(config, **scaled)

    def _optimizer(self, times: float | None) -> Ref:
        """Return the optimizer with a constant rate, so many times that by default."""
        optimizer = self.plan.common.optimizer
        options = self.registry.resolve("optimizer", optimizer).options
        if RATE in options and times is not None:
            optimizer = optimizer.with_options({RATE: str(rounded(times * options[RATE]))})
        if "schedule" in options:
            optimizer = optimizer.with_options({"schedule": "constant"})
        return optimizer

    def _by_length(self, config: RunConfig, width: float | None) -> RunConfig:
        """Decide what the winner's run would leave to its length."""
        alphabet, ids, fitted = self._text
        if width is not None and config.parameters == AUTO:
            config = dataclasses.replace(
                config, cell=scale_cell(config.cell, width), parameters=None
            )
        shape = dataclasses.replace(config, context_bits=fitted.context_bits,
                                    **self.plan.whole)  # fmt: skip
        shape = with_fitting_geometry(shape, len(ids), alphabet.unit, [])
        batching = Streams(ids, shape.batch, shape.window)
        budget = Budget.of(shape, batching, time.monotonic())
        speed = (shape.shards or 1) * operations_per_second(jax.default_backend())
        network = build_network(shape, alphabet, self.registry)
        found = decided_by_length(shape, network, batching, budget, alphabet=alphabet,
                                  registry=self.registry, operations_per_second=speed,
                                  notes=[])  # fmt: skip
        names = ("cell", "parameters", "context_owned", *_MOST)
        return dataclasses.replace(config, **{name: getattr(found, name) for name in names})


def in_words(config: RunConfig) -> str:
    """Say what a trial is, in short.

    >>> in_words(RunConfig(cell="gru:32", dropout_output=0.1, dropout_context=0, dropout_rare=0))
    'gru context 6 dropout 0.1/0/0 batch 32 window 64'
    """
    cell = ":".join([config.cell.use, *map(str, widths(config.cell))])
    dropped = "/".join(f"{decided(getattr(config, name)):g}" for name in _MOST)
    rate: Any = config.optimizer.options.get(RATE)
    told = f"{cell} context {config.context} dropout {dropped} batch {config.batch} window "
    return told + f"{config.window}" + ("" if rate is None else f" rate {rate:g}")


def _nothing(line: str) -> None:
    del line
