"""The text that is examined, and where in the user's text something of it is."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Alphabet, Ids

_SHOWN = 60


@dataclass(frozen=True)
class Examined:
    """A text without its wrapper.

    Arguments:
        original: the text with it.
        removed: the places of the wrapper in it, in order.

    >>> text = Examined("a licence\\na tale\\nof joy", ((0, 10),))
    >>> text.body, text.line(7), text.quote(7, 13)
    ('a tale\\nof joy', 3, "line 3 'of joy'")
    """

    original: str
    removed: Sequence[tuple[int, int]] = ()

    @cached_property
    def body(self) -> str:
        """The text without its wrapper."""
        if not self.removed:
            return self.original
        ends = [0, *(place for span in self.removed for place in span), len(self.original)]
        return "".join(
            self.original[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)
        )

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
        """Return the number of the line, from 1, that a place of the body has in the original."""
        kept = [
            start - before for (start, _), before in zip(self.removed, self._before, strict=False)
        ]
        moved = self._before[bisect.bisect_right(kept, place)]
        return self.original.count("\n", 0, place + moved) + 1

    @cached_property
    def _before(self) -> list[int]:
        """How much was removed before the first span, before the second, .. and in all."""
        return list(accumulate((end - start for start, end in self.removed), initial=0))

    def quote(self, start: int, end: int) -> str:
        """Return a place of the body with its line: the beginning of what is there."""
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
