"""Which of a model is exported, and what that costs on held-out text."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn_core.cell import Params
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation.evaluate import evaluate
from charrnn_core.javascript.packing import halved, pack
from charrnn_core.javascript.rehearsal import Rehearsal
from charrnn_core.javascript.step import Compiled, compile_step
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.runs.model import Model
from charrnn_core.terminal import number

MOST_OF_COUNTS = 1_000_000
"""The most bytes that a table of counts may add to a file without being asked for."""


@dataclass(frozen=True, eq=False)
class Variant:
    """What is exported of a model.

    Arguments:
        model: as its run has it.
        params: those that are exported.
        counts: the bytes of its table of counts in a file; 0 if it has none.
        float16: whether numbers are stored as float16.
    """

    model: Model
    params: Params
    counts: int
    float16: bool

    @classmethod
    def of(cls, model: Model, counts: bool | None, float16: bool) -> "Variant":
        """Choose what to export.

        Arguments:
            counts: whether to include the table of counts; None to include it if it is small.
        """
        table = model.params.get(COUNTS)
        size = 0 if table is None else len(pack([np.asarray(each) for each in table])["base64"])
        include = size <= MOST_OF_COUNTS if counts is None else counts
        params = model.params if include else without_counts(model.params)
        return cls(model, params, size, float16)

    @property
    def has_counts(self) -> bool:
        """Say whether the table of counts is included."""
        return COUNTS in self.params

    @cached_property
    def compiled(self) -> Compiled:
        """Return the step as JavaScript."""
        return compile_step(self.model.network, self.params)

    @cached_property
    def nats(self) -> dict[str, float] | str:
        """Return the held-out nats per character of ``run`` and ``export``, or why there are none.

        As float16, it is measured with the numbers that the file has.
        """
        network, params = self.model.network, self.params
        try:
            whole = _nats(self.model)
            if self.float16:
                network, params = Rehearsal.of(network, self.compiled.source, halved)
            elif self.has_counts == (COUNTS in self.model.params):
                return {"run": whole, "export": whole}
            exported = dataclasses.replace(self.model, network=network, params=params)
            return {"run": whole, "export": _nats(exported)}
        except CharRNNError as error:
            return str(error)

    def remarks(self) -> Iterator[str]:
        """Yield what a reader should know of what was exported, line by line."""
        if self.counts:
            size = f"{self.counts / 1e6:.1f} MB"
            yield (
                f"counts    included, {size}"
                if self.has_counts
                else f"counts    left out: {size}; --counts includes them"
            )
        if self.compiled.short:
            yield (
                f"numbers   the cell computes in {self.compiled.short}, where a sum depends on its "
                "order: the page's log-probabilities are off by some thousandths"
            )
        if isinstance(self.nats, str):
            yield f"held-out  not measured: {self.nats}"
            return
        run, export = self.nats["run"], self.nats["export"]
        unit = self.model.alphabet.unit
        line = f"{number(export, 4)} nats, {number(export / math.log(2), 4)} bits per {unit}"
        changed = [
            *(["without counts"] if self.counts and not self.has_counts else []),
            *(["as float16"] if self.float16 else []),
        ]
        if changed:
            cost = round(export - run, 5) + 0.0  # never -0
            line += f"; {' and '.join(changed)} {cost:+.5f} nats, from {number(run, 4)}"
        yield f"held-out  {line}"


def _nats(model: Model) -> float:
    with kept_clean():
        return evaluate(model, baselines=False, note=lambda line: None).nats_per_char
