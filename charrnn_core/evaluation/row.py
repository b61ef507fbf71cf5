"""The result of one predictor on a text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_core.terminal import number


@dataclass(frozen=True, kw_only=True)
class Row:
    """One predictor's result on a text.

    Arguments:
        name: the predictor.
        nats_per_char: mean negative log-likelihood per character.
        interval: the middle 95 % of the resampled means, see `Tally`.

    >>> Row(name="a fair coin", nats_per_char=math.log(2)).bits_per_char
    1.0
    """

    name: str
    nats_per_char: float
    interval: tuple[float, float] | None = None

    @property
    def bits_per_char(self) -> float:
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        return math.exp(self.nats_per_char) if self.nats_per_char < 700 else math.inf

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {
            "name": self.name,
            "nats_per_char": _plain(self.nats_per_char),
            "bits_per_char": _plain(self.bits_per_char),
            "perplexity": _plain(self.perplexity),
            "interval": None if self.interval is None else [*map(_plain, self.interval)],
        }

    @classmethod
    def read(cls, table: Mapping[str, Any], name: str | None = None) -> "Row":
        """Read a row that `table` returned.

        Arguments:
            name: its name, if the table has another.

        Raises:
            KeyError, TypeError, ValueError: it is not such a table.

        >>> Row.read(Row(name="xz", nats_per_char=math.inf, interval=(1.0, 2.0)).table())
        Row(name='xz', nats_per_char=nan, interval=(1.0, 2.0))
        """
        interval = table.get("interval")
        if interval is not None:
            interval = (_read(interval[0]), _read(interval[1]))
        return cls(
            name=str(table["name"] if name is None else name),
            nats_per_char=_read(table["nats_per_char"]),
            interval=interval,
        )

    def cells(self) -> tuple[str, ...]:
        """Return the row as it is printed."""
        span = " to ".join(number(end, 4) for end in self.interval or ())
        numbers = number(self.nats_per_char, 4), number(self.bits_per_char, 4)
        return (self.name, *numbers, number(self.perplexity, 3), span)


def _plain(value: float) -> float | None:
    """Return a number for JSON, which has no infinities and no NaN: None for those."""
    return value if math.isfinite(value) else None


def _read(value: Any) -> float:
    """Return a number that was written so."""
    return math.nan if value is None else float(value)
