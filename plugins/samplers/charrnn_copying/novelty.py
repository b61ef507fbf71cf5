"""What of a text stands in a training text, word for word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_copying.suffixes import suffix_automaton
from charrnn_core.terminal import aligned
from charrnn_core.text.alphabet import Alphabet, Ids

GRAM = 20
"""The length of the pieces that are looked up."""

_MOST_SHOWN = 60


@dataclass(frozen=True)
class Match:
    """A run of symbols that is in both texts and could not be longer on either side.

    Arguments:
        length: how many symbols it has.
        start: the offset of the first in the text, and `train_start` one in the training text.
        text: the run itself.
    """

    length: int
    start: int
    train_start: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Novelty:
    """How much of a text is copied.

    Arguments:
        symbols: how many it has.
        longer_than: N.
        copied: the share of its symbols that are inside of a verbatim run longer than N.
        grams_copied: the share of its runs of 20 symbols that are in the training text; None if it
            has no such run.
        matches: the longest verbatim runs, none of which overlap, from the longest on.
        unit: ``"character"`` or ``"byte"``.
    """

    symbols: int
    longer_than: int
    copied: float
    grams_copied: float | None
    matches: tuple[Match, ...]
    unit: str = "character"

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {
            f"{self.unit}s": self.symbols,
            "longer_than": self.longer_than,
            "share_copied": self.copied,
            f"share_of_{GRAM}_grams_copied": self.grams_copied,
            "matches": [vars(match) for match in self.matches],
        }

    def lines(self) -> list[str]:
        """Return the result in words and a table."""
        grams = "" if self.grams_copied is None else f", and {self.grams_copied:.1%} of the runs of"
        rows = [("length", "at", "in training", "text")]
        for match in self.matches:
            more = "..." if len(match.text) > _MOST_SHOWN else ""
            shown = f"{match.text[:_MOST_SHOWN]!r}{more}"
            rows.append((f"{match.length:,}", f"{match.start:,}", f"{match.train_start:,}", shown))
        return [
            f"{self.copied:.1%} of {self.symbols:,} {self.unit}s are inside runs longer than "
            f"{self.longer_than} that are in the training text{grams and f'{grams} {GRAM}'}",
            *(aligned(rows) if self.matches else ["no verbatim match at all"]),
        ]


def compare(text: str, training: Ids, alphabet: Alphabet, longer_than: int, top: int) -> Novelty:
    """Look for every run of a text in a training text.

    Arguments:
        text: what may be copied. Its characters that the alphabet lacks match nothing.
        training: the ids of the training text.
        longer_than: runs of more than this many symbols count as copied.
        top: how many of the longest matches to tell.

    Raises:
        CorpusError: the training text is too long to index.

    >>> alphabet = Alphabet(" abht")
    >>> training = alphabet.encode("a hat that a bat")
    >>> found = compare("the hat!", training, alphabet, longer_than=3, top=2)
    >>> found.copied, [(match.text, match.start) for match in found.matches]
    (0.5, [(' hat', 3), ('th', 0)])
    """
    ids = _encode(text, alphabet)
    lengths, ends = suffix_automaton(training).longest_matches(ids)
    grams = lengths[GRAM - 1 :] >= GRAM
    return Novelty(
        symbols=len(ids),
        longer_than=longer_than,
        copied=float(_covered(lengths, longer_than).mean()) if len(ids) else 0.0,
        grams_copied=float(grams.mean()) if len(grams) else None,
        matches=tuple(
            Match(
                length, end - length, train_end - length, alphabet.decode(ids[end - length : end])
            )
            for length, end, train_end in _longest(lengths, ends, top)
        ),
        unit=alphabet.unit,
    )


def _encode(text: str, alphabet: Alphabet) -> Ids:
    """Return the ids of a text, -1 where the alphabet lacks the character."""
    if alphabet.kind == "bytes":
        return alphabet.encode(text)
    places = {symbol: i for i, symbol in enumerate(alphabet.symbols)}
    return np.array([places.get(symbol, -1) for symbol in text], np.int32)


def _covered(lengths: Ids, longer_than: int) -> npt.NDArray[np.bool_]:
    """Return which symbols are inside a longer match."""
    (ends,) = np.nonzero(lengths > longer_than)
    changes = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(changes, ends + 1 - lengths[ends], 1)
    np.add.at(changes, ends + 1, -1)
    return np.cumsum(changes[:-1]) > 0


def _longest(lengths: Ids, ends: Ids, top: int) -> list[tuple[int, int, int]]:
    """Return length and end, here and in training, of the longest matches without overlaps."""
    goes_on = np.append(lengths[1:] == lengths[:-1] + 1, False) if len(lengths) else lengths > 0
    (last,) = np.nonzero((lengths > 0) & ~goes_on)
    chosen: list[tuple[int, int, int]] = []
    free = np.ones(len(lengths), bool)
    for n in last[np.argsort(-lengths[last], kind="stable")].tolist():
        own = slice(n + 1 - int(lengths[n]), n + 1)
        if len(chosen) < top and free[own].all():
            free[own] = False
            chosen.append((int(lengths[n]), n + 1, int(ends[n])))
    return chosen
