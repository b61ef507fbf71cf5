"""The cost of characters that a model's alphabet lacks.

The model gives such a character no probability. A text that has some is refused, or they are
skipped: the model does not read them, and a mean covers the known characters only. Or they are
escaped, which turns the figures into those of a code for any text: the alphabet was taken from n
characters, so the next one is unknown with probability ``e = 1/(n + 1)``, and then uniform over the
other code points. An unknown character costs ``-ln e + ln(1114112 - V)`` nats, a known one
``-ln(1 - e)`` more than the model says.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.text.corpus import Corpus

UNKNOWN = ("error", "skip", "escape")
"""The ways to treat characters outside an alphabet."""

_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Unknown:
    """The unknown characters of a text.

    Arguments:
        symbols: the characters.
        places: for each, how many known characters come before it.
        escape: e, the probability of an unknown character; 0 if they are skipped.
        alphabet: V, the number of known symbols.

    >>> two = Unknown("?!", np.array([1, 3]), escape=0.5, alphabet=6)
    >>> [(nats.round(2).tolist(), known.tolist()) for nats, known in two.among([np.ones(3)])]
    [([1.69, 14.62, 1.69, 1.69], [True, False, True, True]), ([14.62], [False])]
    """

    symbols: str
    places: npt.NDArray[np.int64]
    escape: float
    alphabet: int

    @classmethod
    def none(cls, alphabet: Alphabet) -> "Unknown":
        """Return no unknown characters, and no escape for any."""
        return cls("", np.empty(0, np.int64), 0.0, len(alphabet))

    @property
    def cost(self) -> float:
        """The cost of an unknown character in nats; NaN if they are skipped."""
        if not self.escape:
            return math.nan
        return math.log(_CODE_POINTS - self.alphabet) - math.log(self.escape)

    @property
    def counted(self) -> int:
        """The number of unknown characters that a mean includes."""
        return len(self.places) if self.escape else 0

    def mean(self, nats_per_char: float, known: int) -> float:
        """Return the mean over all characters that count, given the mean over the known ones.

        >>> round(Unknown("?", np.array([1]), escape=0.5, alphabet=6).mean(1.0, known=2), 2)
        6.0
        """
        if not self.escape:
            return nats_per_char
        paid = known * (nats_per_char - math.log1p(-self.escape)) + self.counted * self.cost
        return paid / (known + self.counted)

    def within(self, ranges: Sequence[tuple[int, int]], length: int) -> "Unknown":
        """Return those in some ranges of the `length` known characters, the ranges put end to end.

        >>> some = Unknown("abcd", np.array([0, 4, 5, 9]), 0.0, 26).within([(2, 5), (8, 9)], 9)
        >>> some.symbols, some.places.tolist()
        ('bd', [2, 4])
        """
        symbols, places, before = "", [np.empty(0, np.int64)], 0
        for start, end in ranges:
            # Unknown characters after the last known one belong to the last range.
            first, last = np.searchsorted(self.places, [start, end + (end == length)])
            symbols += self.symbols[first:last]
            places.append(self.places[first:last] - start + before)
            before += end - start
        return replace(self, symbols=symbols, places=np.concatenate(places))

    def among(
        self, nats: Iterable[npt.NDArray[np.floating[Any]]]
    ) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
        """Yield the nats of all characters in order, and which of them are known.

        Arguments:
            nats: the nats of the known characters, in pieces.
        """
        done, tax = 0, -math.log1p(-self.escape)
        for some in itertools.chain(nats, [np.empty(0)]):  # the last for unknown ones at the end
            last = len(some) == 0
            first, end = np.searchsorted(self.places, [done, done + len(some) + last])
            here = self.places[first:end] - done
            yield (
                np.insert(some.astype(np.float64) + tax, here, self.cost),
                np.insert(np.ones(len(some), bool), here, False),
            )
            done += len(some)


def find_unknown(corpus: Corpus, alphabet: Alphabet, escape: float) -> Unknown:
    """Find the characters of a text that an alphabet lacks; read the text only if there are some.

    An alphabet of bytes lacks none, so it reserves nothing for an escape.

    >>> corpus = Corpus(text="hoho!o", name="laugh", origin="nowhere")
    >>> find_unknown(corpus, Alphabet("ho"), 0.0).places.tolist()
    [4]
    """
    symbols, places, known = [], [np.empty(0, np.int64)], 0
    if isinstance(alphabet, ByteAlphabet):
        escape = 0.0  # no byte is unknown
    elif set(corpus.symbols) - set(alphabet.symbols):
        have = _code_points(alphabet.symbols)
        for piece in corpus.read_again():
            lacks = ~np.isin(_code_points(piece), have)
            before = known + np.cumsum(~lacks)
            symbols += [piece[at] for at in np.flatnonzero(lacks)]
            places.append(before[lacks])
            known = int(before[-1])
    return Unknown("".join(symbols), np.concatenate(places), escape, len(alphabet))


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
