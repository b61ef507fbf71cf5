"""What a model has forgotten of an older text while it learnt another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_core.evaluation.row import Row
from charrnn_core.terminal import number

_ROWS = ("before", "after", "alone_before", "alone_after")


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """The loss on a text that was learnt before, by the model of then and by that of now.

    Arguments:
        run: the run that a training started from, as its user called it.
        text: the name of that run's text.
        split, characters, symbol: the held-out part of it, as for `Evaluation`.
        before, after: the rows of both models, as they are used.
        alone_before, alone_after: those of their networks, if one of them has counts of its text.

    >>> rows = [Row(name=name, nats_per_char=nats) for name, nats in (("a", 1.5), ("b", 1.875))]
    >>> found = Forgetting(run="runs/a", text="x.txt", split="last-10%", characters=9000,
    ...                    before=rows[0], after=rows[1])
    >>> found.nats
    0.375
    >>> found.lines()[0][:67]
    'old text  1.5000 nats per character before, 1.8750 after, so 0.3750'
    """

    run: str
    text: str
    split: str
    characters: int
    symbol: str = "character"
    before: Row
    after: Row
    alone_before: Row | None = None
    alone_after: Row | None = None

    @property
    def nats(self) -> float:
        """How much larger the loss is than it was, in nats per character."""
        return self.after.nats_per_char - self.before.nats_per_char

    def lines(self) -> list[str]:
        """Return the lines for the user."""
        where = f"{self.split} of {self.text}, {self.characters:,} {self.symbol}s"
        change = "forgotten" if self.nats >= 0 else "won"
        line = (
            f"old text  {number(self.before.nats_per_char, 4)} nats per {self.symbol} before, "
            f"{number(self.after.nats_per_char, 4)} after, so {number(abs(self.nats), 4)} "
            f"{change} ({where}, learnt by {self.run})"
        )
        if self.alone_before is None or self.alone_after is None:
            return [line]
        before, after = self.alone_before.nats_per_char, self.alone_after.nats_per_char
        alone = f"its network alone, {number(before, 4)} before, {number(after, 4)} after"
        return [line, f"          {alone}; a model's counts are of its own text"]

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        rows = {name: getattr(self, name) for name in _ROWS}
        return {
            "run": self.run,
            "text": self.text,
            "split": self.split,
            "characters": self.characters,
            "symbol": self.symbol,
            **{name: None if row is None else row.table() for name, row in rows.items()},
        }

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Forgetting":
        """Read what `table` returned.

        Raises:
            KeyError, TypeError, ValueError: it is not such a table.
        """
        rows: dict[str, Any] = {
            name: None if table.get(name) is None else Row.read(table[name]) for name in _ROWS
        }
        if rows["before"] is None or rows["after"] is None:
            raise ValueError("expected a row before and a row after")
        names = {name: str(table[name]) for name in ("run", "text", "split", "symbol")}
        return cls(characters=int(table["characters"]), **names, **rows)
