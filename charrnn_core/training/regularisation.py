"""Regularisation by rule: what is dropped, where a run leaves that to its text and length."""

import dataclasses
import math
from dataclasses import dataclass

from charrnn_core.network.context import without_rows
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import count_parameters
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.rates import AUTO
from charrnn_core.training.batches import Batching
from charrnn_core.training.policy import Budget

_OF_ROWS = ("dropout_context", "dropout_rare")
"""The rates that have no effect without rows."""

_PARAMETERS_PER_CHARACTER = 0.35
"""Those of the default network for a megabyte of text."""

_PASSES_FOR_OWNERS = 2

_CHARACTERS_OF_HALF = 4e6
"""A training that reads so many drops half of what one without end would."""

_STEP = 0.05
"""Rates are multiples of this: finer ones would pretend to be known."""

_FLOP_PER_PARAMETER = 6
_FLOP_BESIDES = 5e5
"""What a character costs besides the products: elementwise work, and reading its rows."""


@dataclass(frozen=True)
class Exposure:
    """How much a network can remember of a text, and how often it reads the text.

    Arguments:
        parameters: P, those that every character reads.
        rows: of the context, each read by the few characters that end in the same way.
        characters: N, those of the training text.
        passes: how often the whole training reads them, expected.

    >>> str(Exposure(parameters=420_000, rows=16_384, characters=1_003_854, passes=4.98))
    '0.42 M parameters read 1 M characters 4.98 times'
    """

    parameters: int
    rows: int
    characters: int
    passes: float

    @property
    def read(self) -> float:
        """How many characters the whole training reads, expected."""
        return self.passes * self.characters

    @property
    def is_repeated(self) -> bool:
        """Whether the text is read often enough for rows to have owners.

        Rows that contexts share learn sooner: of a megabyte, 0.007 nats are won after one reading.
        They also learn by heart what no other text has: 0.011 are lost after three and a half.
        """
        return self.passes >= _PASSES_FOR_OWNERS

    def __str__(self) -> str:
        parameters, characters = (f"{n / 1e6:.3g} M" for n in (self.parameters, self.characters))
        return f"{parameters} parameters read {characters} characters {self.passes:.3g} times"


def by_rule(exposure: Exposure) -> dict[str, float]:
    """Return the rates of dropout that fit a training, by the names of their settings.

        output  = s 0.1 log2(passes sqrt(P / (0.35 N)))    from 0 to 0.4
        context = s 0.11 log2(passes)                      from 0 to 0.6
        rare    = s 2.2 log2(passes)                       from 0 to 16

    with ``s = C / (C + 4,000,000)``, where C = passes N is the number of characters read.

    A text that is read once cannot be learnt by heart: whatever is dropped only slows learning
    down. The oftener it is read, the more has to be dropped, the longer the text is for the network
    the less. A row of the context learns by heart what few characters say, however long the text;
    the fewer they are, the more so. A short training has learnt little by heart when it ends, even
    if it has read a short text many times.

    The constants rest on trainings that are listed in ``benchmarks/README.md``; between them the
    rule is a guess.

    >>> by_rule(Exposure(parameters=350_000, rows=65_536, characters=1_000_000, passes=5.0))
    {'dropout_output': 0.15, 'dropout_context': 0.15, 'dropout_rare': 3.0}
    >>> by_rule(Exposure(parameters=35_000, rows=65_536, characters=2_700_000, passes=1.8))
    {'dropout_output': 0.0, 'dropout_context': 0.05, 'dropout_rare': 1.0}
    """
    passes = max(1.0, exposure.passes)
    share = exposure.read / (exposure.read + _CHARACTERS_OF_HALF)
    relative = exposure.parameters / (_PARAMETERS_PER_CHARACTER * exposure.characters)
    output = math.log2(max(1.0, passes * math.sqrt(relative))) if passes > 1 else 0.0
    of_rows = math.log2(passes) if exposure.rows else 0.0
    return {
        "dropout_output": _rounded(min(0.4, share * 0.1 * output)),
        "dropout_context": _rounded(min(0.6, share * 0.11 * of_rows)),
        "dropout_rare": float(round(min(16.0, share * 2.2 * of_rows))),
    }


def regularised(config: RunConfig, exposure: Exposure, notes: list[str]) -> RunConfig:
    """Return the run with a number for every rate that is ``auto``, and append a note of them.

    Arguments:
        exposure: how often the run reads its text.
        notes: lines for the user, appended to.
    """
    chosen = {k: rate for k, rate in by_rule(exposure).items() if getattr(config, k) == AUTO}
    if told := [f"{k} is {r:g}" for k, r in chosen.items() if k not in _OF_ROWS or exposure.rows]:
        notes.append(f"{', '.join(told)} (auto: {exposure})")
    return dataclasses.replace(config, **chosen)


def exposure_of(
    network: Network, batching: Batching, budget: Budget, operations_per_second: float
) -> Exposure:
    """Return what a training of a network is expected to be; its rates of dropout do not matter.

    A budget in updates says how many characters are read. One in minutes does not, and a clock
    would make every run another: so many are assumed as the operations allow, which are
    ``6 P + 500,000`` for each.

    Arguments:
        operations_per_second: of all devices; see `charrnn_core.devices.operations_per_second`.
    """
    parameters = count_parameters(without_rows(network.shapes))
    read = []
    if budget.steps is not None:
        epochs = budget.steps / batching.steps_per_epoch
        read.append(epochs * batching.characters_per_epoch)
    if budget.deadline is not None:
        a_second = operations_per_second / (_FLOP_PER_PARAMETER * parameters + _FLOP_BESIDES)
        read.append(a_second * (budget.deadline - budget.started))
    characters = len(batching.ids)
    return Exposure(parameters, network.context.rows, characters, min(read) / characters)


def _rounded(rate: float) -> float:
    return round(round(rate / _STEP) * _STEP, 2)
