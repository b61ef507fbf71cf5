"""The text that is examined, and where in the user's text something of it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Alphabet, Ids

_SHOWN = 60


@dataclass(frozen=True)
class Examined:
    """A text without its wrapper.

    Arguments:
        body: the text.
        cuts: where something was cut: for each, the lines of the body before it, and its own.

    >>> text = Examined.without("a licence\\na tale\\nof joy", [(0, 10)])
    >>> text.body, text.line(7), text.quote(7, 13)
    ('a tale\\nof joy', 3, "line 3 'of joy'")
    """

    body: str
    cuts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def without(cls, text: str, spans: Sequence[tuple[int, int]]) -> "Examined":
        """Cut something from a text, given its places, in order."""
        body, cuts, position, lines = [], [], 0, 0
        for start, end in spans:
            body.append(text[position:start])
            lines += text.count("\n", position, start)
            if end < len(text):  # no line comes after the end
                cuts.append((lines, text.count("\n", start, end)))
            position = end
        return cls("".join([*body, text[position:]]), tuple(cuts))

    def with_lines(self, others: Iterable[tuple[int, str, str]]) -> "Examined":
        """Return the text with other lines, given where each begins, the line and the other."""
        pieces, position = [], 0
        for start, line, other in others:
            pieces += [self.body[position:start], other]
            position = start + len(line)
        return Examined("".join([*pieces, self.body[position:]]), self.cuts)

    @cached_property
    def symbols(self) -> str:
        """The distinct characters of the body."""
        return "".join(sorted(set(self.body)))

    @cached_property
    def ids(self) -> Ids:
        """The ids of the body in the alphabet of its characters."""
        alphabet = Alphabet(self.symbols)
        return alphabet.encode(self.body, dtype=alphabet.dtype)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How often the body has each of its `symbols`."""
        return np.bincount(self.ids, minlength=len(self.symbols))

    def count(self, symbols: str) -> int:
        """Return how often the body has any of these of its symbols."""
        return sum(int(self.counts[self.symbols.index(symbol)]) for symbol in symbols)

    def line(self, place: int) -> int:
        """Return the number, from 1, that the line of a place has in the text before any cut."""
        number = self.body.count("\n", 0, place)
        return number + 1 + sum(lines for before, lines in self.cuts if before <= number)

    def quote(self, start: int, end: int) -> str:
        """Return a place of the body with its line: the beginning of what is there."""
        start += len(self.body[start:end]) - len(self.body[start:end].lstrip())
        quoted = " ".join(self.body[start : min(end, start + 2 * _SHOWN)].split()) or " "
        more = " ..." if len(quoted) > _SHOWN or end > start + 2 * _SHOWN else ""
        return f"line {self.line(start):,} {quoted[:_SHOWN]!r}{more}"

    def around(self, place: int) -> str:
        """Return the line of a place of the body, as far as it is near."""
        start = max(self.body.rfind("\n", 0, place) + 1, place - _SHOWN // 2)
        end = self.body.find("\n", place)
        return (
            f"line {self.line(place):,} {self.body[start : end if end >= 0 else None][:_SHOWN]!r}"
        )
