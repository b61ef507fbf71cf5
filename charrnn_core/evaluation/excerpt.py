"""The part of a held-out text that is scored again and again while a model learns.

Scoring all of a text each time would take from training what the figures do not need: to tell
which of two updates is better, both are scored on the same characters, and the differences of
their nats vary little. With the default network on tiny-shakespeare, 400 updates apart, the mean
difference on an excerpt has a standard error of 0.001 nats; the loss itself, one of 0.015.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_core.evaluation.scoring import Nats
from charrnn_core.text.split import Piece, count_characters

_STRETCHES = 64
_CHARACTERS = 256
"""How many stretches an excerpt has, and how many characters of each count."""

_WARM_UP = 128
"""The characters that a stretch reads before those; after 64 a carry is as good as any, for the
default network to 0.00002 nats per character."""

_LEAST = 2
"""A text is read whole unless it has this many times the characters of an excerpt."""


@dataclass(frozen=True)
class Excerpt:
    """Evenly spread stretches of a text, a function of the text alone; or all of a short text.

    Arguments:
        pieces: what to read.
        counts: for every character of the pieces, whether it counts; the others warm up.
        is_whole: whether it is all of the text.

    >>> some = Excerpt.of([Piece(0, np.arange(100_000))])
    >>> some.characters, count_characters(some.pieces), len(some.pieces)
    (16384, 24576, 64)
    >>> Excerpt.of([Piece(0, np.arange(1000))]).characters
    1000
    """

    pieces: list[Piece]
    counts: npt.NDArray[np.bool_]
    is_whole: bool = False

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> "Excerpt":
        """Choose an excerpt of a text that is given in pieces."""
        blocks = [
            (number, begin)
            for number, piece in enumerate(pieces)
            for begin in range(0, len(piece.ids), _CHARACTERS)
        ]
        if len(blocks) < _LEAST * _STRETCHES:
            return cls(list(pieces), np.ones(count_characters(pieces), bool), True)
        chosen, counts = [], []
        for i in range(_STRETCHES):
            number, begin = blocks[(2 * i + 1) * len(blocks) // (2 * _STRETCHES)]
            before, ids = pieces[number]
            warm_up = min(begin, _WARM_UP)
            first = begin - warm_up
            read = ids[first : begin + _CHARACTERS]
            chosen.append(Piece(int(ids[first - 1]) if first else before, read))
            counts.append(np.arange(len(read)) >= warm_up)
        return cls(chosen, np.concatenate(counts))

    @property
    def characters(self) -> int:
        """How many characters count."""
        return int(self.counts.sum())

    def counted(self, nats: Iterable[Nats]) -> Iterator[Nats]:
        """Yield the nats of those that count, given those of all that are read."""
        done = 0
        for some in nats:
            yield some[self.counts[done : done + len(some)]]
            done += len(some)
