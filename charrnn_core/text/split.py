"""Named splits of a text into a training part and held-out parts.

The name is printed with every figure that is measured on a split.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn_core.errors import UnknownNameError
from charrnn_core.text.alphabet import Ids

PARTS = ("train", "valid", "test", "all")
"""The parts of a text; ``all`` is the whole text."""


class Piece(NamedTuple):
    """A run of characters to predict.

    Fields:
        before: the id of the character before them, from which the first one is predicted.
        ids: their ids, a view into the text's.
    """

    before: int
    ids: Ids


@dataclass(frozen=True)
class Split:
    """A named way to cut a text into parts: train, valid, test.

    With one stream the parts are contiguous, in this order. Otherwise the text is first cut into
    `streams` streams of equal length, and each stream is split; the remainder at the end of the
    text belongs to no part, as in the systems that split this way.

    Arguments:
        name: the preset's name; it is printed with every figure measured on it.
        train, valid: shares of the text; test is the rest.
        streams: the number of streams the text is cut into before it is split.
        grain: a stream is cut at multiples of this many characters.

    >>> Split.named("nanogpt-90/10").ranges(1000, "valid")
    [(900, 1000)]
    >>> Split("two-streams", 0.5, 0.5, streams=2, grain=5).ranges(43, "valid")
    [(10, 20), (30, 40)]
    """

    name: str
    train: float
    valid: float
    streams: int = 1
    grain: int = 1

    @classmethod
    def named(cls, name: str) -> "Split":
        """Return the preset of a name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS)
        return SPLITS[name]

    def ranges(self, length: int, part: str) -> list[tuple[int, int]]:
        """Return start and end of every piece of a part of a text; no piece is empty.

        Raises:
            UnknownNameError: there is no such part.
        """
        if part not in PARTS:
            raise UnknownNameError("part of a split", part, PARTS)
        if part == "all":
            return [(0, length)] if length else []
        grains = length // (self.streams * self.grain)
        first, rest = int(grains * self.train), self.train + self.valid < 1
        second = int(grains * (self.train + self.valid)) if rest else grains
        cuts = (0, first, second, grains)
        number = PARTS.index(part)
        start, end = self.grain * cuts[number], self.grain * cuts[number + 1]
        begins = (i * grains * self.grain for i in range(self.streams))
        return [(begin + start, begin + end) for begin in begins] if end > start else []

    def pieces(self, ids: Ids, part: str, beginning: int) -> list[Piece]:
        """Cut out the pieces of a part.

        Arguments:
            ids: the ids of the whole text.
            part: one of `PARTS`.
            beginning: the id to put before the first character of the text.

        >>> text = np.arange(30, 50)
        >>> [(before, some.tolist()) for before, some in SPLITS["90/5/5"].pieces(text, "test", 7)]
        [(48, [49])]
        >>> SPLITS["all"].pieces(text, "train", 7)[0].before
        7
        """
        return [
            Piece(int(ids[start - 1]) if start else beginning, ids[start:end])
            for start, end in self.ranges(len(ids), part)
        ]

    def training(self, ids: Ids) -> Ids:
        """Return the ids of the training part: a view if it is contiguous, else a copy.

        >>> Split("two-streams", 0.5, 0.5, streams=2, grain=2).training(np.arange(9)).tolist()
        [0, 1, 4, 5]
        """
        parts = [ids[start:end] for start, end in self.ranges(len(ids), "train")]
        return parts[0] if len(parts) == 1 else np.concatenate([ids[:0], *parts])


def first_characters(pieces: Iterable[Piece], count: int) -> list[Piece]:
    """Return the first `count` characters of the pieces, still in pieces.

    >>> two = [Piece(0, np.arange(4)), Piece(0, np.arange(4))]
    >>> [len(some) for _, some in first_characters(two, 6)]
    [4, 2]
    """
    chosen = []
    for before, ids in pieces:
        if count > 0:
            chosen.append(Piece(before, ids[:count]))
            count -= len(ids)
    return chosen


def count_characters(pieces: Iterable[Piece]) -> int:
    """Count the characters of all pieces."""
    return sum(len(piece.ids) for piece in pieces)


SPLITS = {
    split.name: split
    for split in (
        Split("last-10%", 0.9, 0.1),
        Split("last-5%", 0.95, 0.05),
        # char-rnn's CharSplitLMMinibatchLoader with its default batch and sequence length of 50.
        Split("char-rnn-95/5-interleaved", 0.95, 0.05, streams=50, grain=50),
        Split("nanogpt-90/10", 0.9, 0.1),
        Split("tc-90/5/5", 0.9, 0.05),  # tensorflow-char-rnn
        Split("torch-rnn-80/10/10", 0.8, 0.1),
        Split("wp-80/10/10", 0.8, 0.1),  # War and Peace, as in Karpathy, Johnson & Fei-Fei 2015
        Split("90/5/5", 0.9, 0.05),  # also enwik8 and text8
        Split("all", 1.0, 0.0),
    )
}
