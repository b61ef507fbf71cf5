"""The result of an evaluation: nats per character, a confidence interval, and comparisons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.evaluation.diagnosis import diagnose
from charrnn_core.evaluation.forgetting import Forgetting
from charrnn_core.evaluation.row import Row
from charrnn_core.page.frame import escaped
from charrnn_core.page.table import html_table
from charrnn_core.public import public
from charrnn_core.runs.chosen import Chosen
from charrnn_core.runs.course import Course
from charrnn_core.runs.curves import Curve, Result
from charrnn_core.terminal import aligned, number, printable

_BLOCK = 1000
_FEWEST_BLOCKS, _MOST_BLOCKS = 20, 2000
_RESAMPLES = 2000
_COMPARED = ("n-gram", "xz")
"""How the names of the baselines begin that a curve is compared with."""


class Tally:
    """A running sum of the nats of a text, in blocks of consecutive characters.

    The interval is a bootstrap of non-overlapping blocks (Carlstein 1986): the n blocks, of 1000
    characters each, or of a size that gives a short text 20 blocks and a long one 2000, are
    resampled n at a time with replacement, 2000 times; the interval is the middle 95 % of the
    means. It says how much the mean would vary with another text of this kind and length, not how
    much it would vary with another training seed.

    Arguments:
        characters: how many characters will be added in all.

    >>> tally = Tally(3)
    >>> tally.add(np.array([1.0, 2.0], np.float32))
    >>> tally.add(np.array([6.0], np.float32))
    >>> tally.row("model").nats_per_char
    3.0
    """

    def __init__(self, characters: int) -> None:
        fitting = max(1, min(_BLOCK, characters // _FEWEST_BLOCKS))
        self._size = max(fitting, -(-characters // _MOST_BLOCKS))
        self._sums = np.zeros(-(-characters // self._size), np.float64)
        self.characters = 0

    def add(self, nats: npt.NDArray[np.floating[Any]]) -> None:
        """Add the next characters."""
        blocks = np.arange(self.characters, self.characters + len(nats)) // self._size
        self._sums += np.bincount(blocks, nats, len(self._sums))
        self.characters += len(nats)

    @property
    def mean(self) -> float:
        """Nats per character so far."""
        return float(self._sums.sum() / self.characters)

    def row(self, name: str) -> Row:
        """Return the mean so far and its interval."""
        blocks = len(self._sums)
        if blocks < 2:
            return Row(name=name, nats_per_char=self.mean)
        sizes = np.full(blocks, self._size)
        sizes[-1] = self.characters - self._size * (blocks - 1)
        drawn = np.random.default_rng(0).integers(blocks, size=(_RESAMPLES, blocks))
        means = self._sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        return Row(name=name, nats_per_char=self.mean, interval=(float(low), float(high)))


def tally(nats: Iterable[npt.NDArray[np.floating[Any]]], characters: int) -> Tally:
    """Add up arrays of nats that have this many characters in all."""
    counted = Tally(characters)
    for some in nats:
        counted.add(some)
    return counted


@public
@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of a model on a text.

    Arguments:
        model: the model's own row.
        characters: how many characters were predicted.
        split: the preset that cut the text.
        part: the part that was read.
        symbol: the unit, ``"character"`` or ``"byte"``.
        chosen: which of the models of its run it is, if that is known.
        last: the row of the last model on the same text, if a training ended with a worse one.
        alone: the row of its network without the counts of its training text, if it has some.
        mixed: the row of the model mixed with counts, if requested.
        dynamic: the row of dynamic evaluation, if requested.
        dynamic_mixed: the row of both together, if both are requested.
        baselines: the rows of the baselines, see `charrnn_core.evaluation.baselines`.
        forgetting: what a training has made of the text of the run that it started from.
        remarks: what a reader of the figures has to know.
        course: how the training went, if that has a bearing on the result.

    >>> import math
    >>> row = Row(name="model", nats_per_char=math.log(2))
    >>> Evaluation(model=row, characters=8, split="all", part="train").bits_per_char
    1.0
    """

    model: Row
    characters: int
    split: str = ""
    part: str = ""
    symbol: str = "character"
    chosen: Chosen | None = None
    last: Row | None = None
    alone: Row | None = None
    mixed: Row | None = None
    dynamic: Row | None = None
    dynamic_mixed: Row | None = None
    baselines: tuple[Row, ...] = ()
    forgetting: Forgetting | None = None
    remarks: tuple[str, ...] = field(default=())
    course: Course | None = field(default=None, repr=False, compare=False)

    @property
    def nats_per_char(self) -> float:
        return self.model.nats_per_char

    @property
    def bits_per_char(self) -> float:
        return self.model.bits_per_char

    @property
    def perplexity(self) -> float:
        return self.model.perplexity

    @property
    def interval(self) -> tuple[float, float] | None:
        return self.model.interval

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows: the model's first, then those to compare it with."""
        others = (self.last, self.alone, self.mixed, self.dynamic, self.dynamic_mixed)
        return (self.model, *(row for row in others if row is not None), *self.baselines)

    @classmethod
    def read(cls, table: Mapping[str, Any], course: Course | None = None) -> "Evaluation":
        """Read an evaluation that `table` returned, such as that of a run.

        Raises:
            KeyError, TypeError, ValueError: it is not such a table.

        >>> row = Row(name="model", nats_per_char=2.0)
        >>> Evaluation.read(Evaluation(model=row, characters=8).table()).nats_per_char
        2.0
        """
        chosen = table.get("model")
        others = {
            name: None if table.get(name) is None else Row.read(table[name])
            for name in ("last", "alone", "mixed", "dynamic", "dynamic_mixed")
        }
        return cls(
            model=Row.read(table, "model"),
            characters=int(table["characters"]),
            split=str(table.get("split", "")),
            part=str(table.get("part", "")),
            symbol=str(table.get("symbol", "character")),
            chosen=None if chosen is None else Chosen(**chosen),
            **others,
            baselines=tuple(map(Row.read, table.get("baselines", ()))),
            forgetting=None if (old := table.get("forgetting")) is None else Forgetting.read(old),
            remarks=tuple(map(str, table.get("remarks", ()))),
            course=course,
        )

    def curve(self, name: str = "", look: int = 0, *, is_whole: bool = True) -> Curve:
        """Return what is drawn of the training that ended with this result.

        Arguments:
            name, look: of the run, see `Curve`.
            is_whole: whether it is of all of the held-out text, not of an excerpt.
        """
        step = None if self.chosen is None else self.chosen.step
        return Curve(
            course=self.course or Course(),
            name=name,
            levels={
                row.name: row.nats_per_char
                for row in self.baselines
                if row.name.startswith(_COMPARED)
            },
            result=Result(nats=self.nats_per_char, interval=self.interval, step=step)
            if is_whole
            else None,
            look=look,
            unit=self.symbol,
        )

    def line(self) -> str:
        """Return the model's result as one line."""
        where = "whole text" if self.part == "all" else f"{self.part} part of {self.split}"
        return (
            f"{number(self.nats_per_char, 4)} nats, {number(self.bits_per_char, 4)} bits per "
            f"{self.symbol}, perplexity {number(self.perplexity, 3)} "
            f"({where}, {self.characters:,} {self.symbol}s)"
        )

    def lines(self) -> list[str]:
        """Return the lines for the user: result, model, comparison, remarks and warnings."""
        compared = self.cells()
        if len(compared) == 2 and self.interval is None:
            compared = []
        remarks = [f"note: {remark}" for remark in self.remarks]
        model = [] if self.chosen is None else [f"model from {self.chosen}"]
        return [
            self.line(),
            *model,
            *(aligned(compared) if compared else []),
            *self._of_old_text(),
            *remarks,
            *self.warnings(),
        ]

    def cells(self) -> list[tuple[str, ...]]:
        """Return the comparison as it is printed: a head, and every row."""
        head = (f"per {self.symbol}", "nats", "bits", "perplexity", "95 % interval, nats")
        return [head, *(row.cells() for row in self.rows)]

    def _repr_html_(self) -> str:
        """Return the same for a notebook or a page."""
        head, *rows = self.cells()
        remarks = [f"note: {remark}" for remark in self.remarks]
        lines = [self.line(), *self._of_old_text(), *remarks, *self.warnings()]
        first, *others = (f"<p>{escaped(printable(line))}</p>" for line in lines)
        return f"{first}{html_table(rows, head, numbers=True)}{''.join(others)}"

    def _of_old_text(self) -> list[str]:
        return [] if self.forgetting is None else self.forgetting.lines()

    def warnings(self) -> list[str]:
        """Return at most one line, the diagnosis of `charrnn_core.evaluation.diagnosis`."""
        better = [row.name for row in self.baselines if row.nats_per_char < self.nats_per_char]
        found = diagnose(self.nats_per_char, better, self.course)
        return [] if found is None else [found.line]

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {
            **{key: value for key, value in self.model.table().items() if key != "name"},
            "characters": self.characters,
            "split": self.split,
            "part": self.part,
            "symbol": self.symbol,
            "model": None if self.chosen is None else self.chosen.table(),
            "last": None if self.last is None else self.last.table(),
            "alone": None if self.alone is None else self.alone.table(),
            "mixed": None if self.mixed is None else self.mixed.table(),
            "dynamic": None if self.dynamic is None else self.dynamic.table(),
            "dynamic_mixed": None if self.dynamic_mixed is None else self.dynamic_mixed.table(),
            "baselines": [row.table() for row in self.baselines],
            "forgetting": None if self.forgetting is None else self.forgetting.table(),
            "remarks": list(self.remarks),
            "warnings": self.warnings(),
        }
