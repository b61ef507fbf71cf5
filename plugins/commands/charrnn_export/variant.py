"""Which of a model is exported, and what that costs on held-out text."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn_core.cell import Params
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation.evaluate import evaluate
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.javascript.packing import halved, pack
from charrnn_core.javascript.rehearsal import Rehearsal
from charrnn_core.javascript.split import Split, split_from_start
from charrnn_core.javascript.step import Compiled, emit
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.runs.model import Model
from charrnn_core.terminal import number


@dataclass(frozen=True, eq=False)
class Variant:
    """What is exported of a model.

    Arguments:
        model: as its run has it.
        params: those that are exported.
        counts: the bytes of its table of counts in a file, about; 0 if it has none.
        float16: whether numbers are stored as float16.
    """

    model: Model
    params: Params
    counts: int
    float16: bool

    @classmethod
    def of(
        cls, model: Model, counts: bool | None, most: int | None = None, float16: bool = False
    ) -> "Variant":
        """Choose what to export.

        Arguments:
            counts: whether to include the table of counts; None to include it if it is small.
            most: how many bytes it may have for that, packed as in a page; None for any number.
        """
        table = [np.asarray(each) for each in model.params.get(COUNTS, ())]
        size = sum(each.nbytes for each in table)
        if table and most is not None:
            size = len(pack(table)["base64"])
        include = counts if counts is not None else most is None or size <= most
        params = model.params if include else without_counts(model.params)
        return cls(model, params, size, float16)

    @property
    def has_counts(self) -> bool:
        """Say whether the table of counts is included."""
        return COUNTS in self.params

    @property
    def lacks_counts(self) -> bool:
        """Say whether the model has a table of counts that is left out."""
        return bool(self.counts) and not self.has_counts

    @property
    def exported(self) -> Model:
        """Return the model with the parameters that are exported."""
        return dataclasses.replace(self.model, params=self.params)

    @cached_property
    def split(self) -> Split:
        """Return the equations of the step."""
        return split_from_start(self.model.network, self.params)

    @cached_property
    def compiled(self) -> Compiled:
        """Return the step as JavaScript."""
        return emit(self.split, self.model.network.symbols)

    @cached_property
    def results(self) -> dict[str, Evaluation] | str:
        """Return the held-out results of ``run`` and ``export``, or why there are none.

        As float16, it is measured with the numbers that the file has.
        """
        network, params = self.model.network, self.params
        try:
            whole = _result(self.model)
            if self.float16:
                network, params = Rehearsal.of(network, self.split, halved)
            elif not self.lacks_counts:
                return {"run": whole, "export": whole}
            exported = dataclasses.replace(self.model, network=network, params=params)
            return {"run": whole, "export": _result(exported)}
        except CharRNNError as error:
            return str(error)

    @property
    def nats(self) -> dict[str, float] | str:
        """Return the nats per character of `results`."""
        if isinstance(self.results, str):
            return self.results
        return {name: result.nats_per_char for name, result in self.results.items()}

    def remarks(self) -> Iterator[str]:
        """Yield what a reader should know of what was exported, line by line."""
        nats = self.nats
        if self.counts:
            size = f"{self.counts / 1e6:.1f} MB"
            cost = ""
            if not isinstance(nats, str) and not self.float16:
                cost = f", at a cost of {_cost(nats):.5f} nats per {self.model.alphabet.unit}"
            yield (
                f"counts    included, {size}"
                if self.has_counts
                else f"counts    left out, which saves {size}{cost}; --counts includes them"
            )
        if isinstance(nats, str):
            yield f"held-out  not measured: {nats}"
            return
        export, unit = nats["export"], self.model.alphabet.unit
        line = f"{number(export, 4)} nats, {number(export / math.log(2), 4)} bits per {unit}"
        changed = [
            *(["without counts"] if self.lacks_counts else []),
            *(["as float16"] if self.float16 else []),
        ]
        if changed:
            of_run = number(nats["run"], 4)
            line += f"; {' and '.join(changed)} {_cost(nats):+.5f} nats, from {of_run}"
        yield f"held-out  {line}"


def _cost(nats: Mapping[str, float]) -> float:
    return round(nats["export"] - nats["run"], 5) + 0.0  # never -0


def _result(model: Model) -> Evaluation:
    with kept_clean():
        return evaluate(model, baselines=False, note=lambda line: None)
