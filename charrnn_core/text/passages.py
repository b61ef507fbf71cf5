"""Passages of a text that have occurred before, found by a hash of every window. No jax.

A rolling hash of 64 bits stands for a window: of ten million windows that differ, two have the same
with a probability of 3e-6, so no window is compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

PASSAGE = 100
"""The characters of a passage: more than a line or a set phrase, less than most paragraphs."""

_FACTOR = 0xD1342543DE82EF95
_SCATTER = 0x9E3779B97F4A7C15
_AT_ONCE = 1 << 15
"""How many windows are hashed at a time, which stays within a core's cache."""

_MARKS = 24
"""The bits of a hash that tell most windows that occur once from those that occur twice."""

Places = npt.NDArray[np.int64]


class Passage(NamedTuple):
    """A passage that has occurred before.

    Fields:
        start, end: its place.
        first: where it began when it occurred first.
    """

    start: int
    end: int
    first: int


@dataclass(frozen=True)
class Repeats:
    """The windows of a text that have occurred before.

    Arguments:
        starts: where each begins, in order.
        firsts: where each occurred first, without overlap.
        length: the characters of a window.
    """

    starts: Places
    firsts: Places
    length: int

    def between(self, begin: int, end: int, first_before: int | None = None) -> "Repeats":
        """Return those that begin there, and perhaps occurred first before another place."""
        kept = (self.starts >= begin) & (self.starts < end)
        if first_before is not None:
            kept &= self.firsts < first_before
        return Repeats(self.starts[kept], self.firsts[kept], self.length)

    @property
    def characters(self) -> int:
        """How many characters are in such windows."""
        if not len(self.starts):
            return 0
        return int(np.minimum(np.diff(self.starts), self.length).sum()) + self.length

    def longest(self, count: int) -> list[Passage]:
        """Return the longest passages, each as a whole, the longest first."""
        if not len(self.starts):
            return []
        goes_on = (np.diff(self.starts) == 1) & (np.diff(self.firsts) == 1)
        begins = np.flatnonzero(np.concatenate([[True], ~goes_on]))
        sizes = np.diff(begins, append=len(self.starts))
        chosen = np.argsort(-sizes, kind="stable")[:count]
        return [
            Passage(start, start + int(sizes[i]) - 1 + self.length, int(self.firsts[begins[i]]))
            for i in chosen.tolist()
            for start in [int(self.starts[begins[i]])]
        ]


def repeats(texts: Sequence[npt.NDArray[Any]], length: int = PASSAGE) -> Repeats:
    """Find the windows that have occurred before; none reaches from one text to another.

    The hash of the window of L symbols at i is ``sum_j a^(L-1-j) f(x[i+j])`` modulo 2^64. It is
    made by doubling, ``h_2k(i) = a^k h_k(i) + h_k(i+k)``, in ``log2 L`` additions.

    Arguments:
        texts: one-dimensional arrays of integers; places are those of their concatenation.
        length: L.

    Source: Karp and Rabin, Efficient randomized pattern-matching algorithms, 1987.

    >>> text = np.frombuffer(b"to be or not to be", np.uint8)
    >>> repeats([text], 5).longest(1)
    [Passage(start=13, end=18, first=0)]
    >>> repeats([text[:9], text[9:]], 5).characters
    5
    """
    hashes, begins = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    begin = 0
    for text in texts:
        found = list(_hashes(text, length))
        hashes += found
        begins.append(np.arange(begin, begin + sum(map(len, found))))
        begin += len(text)
    hashed, places = np.concatenate(hashes), np.concatenate(begins)
    in_order = np.sort(hashed)  # several times as fast as sorting places
    twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    marks = np.zeros(1 << _MARKS, bool)
    marks[twice >> np.uint64(64 - _MARKS)] = True
    (some,) = np.nonzero(marks[hashed >> np.uint64(64 - _MARKS)])
    _, first, number = np.unique(hashed[some], return_index=True, return_inverse=True)
    starts, firsts = places[some], places[some[first[number]]]
    again = starts - firsts >= length
    return Repeats(starts[again], firsts[again], length)


def _hashes(text: npt.NDArray[Any], length: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the hash of every window, many at a time."""
    for begin in range(0, len(text) - length + 1, _AT_ONCE):
        yield _hashed(text[begin : begin + _AT_ONCE + length - 1], length)


def _hashed(text: npt.NDArray[Any], length: int) -> npt.NDArray[np.uint64]:
    power = (text.astype(np.uint64) + np.uint64(1)) * np.uint64(_SCATTER)
    power ^= power >> np.uint64(29)
    factor, windows = _FACTOR, len(text) - length + 1
    whole, have, size = np.zeros(windows, np.uint64), 0, 1
    while True:
        if length & size:
            whole *= np.uint64(factor)
            whole += power[have : have + windows]
            have += size
        if 2 * size > length:
            return whole
        power = power[:-size] * np.uint64(factor) + power[size:]
        factor, size = factor * factor % 2**64, 2 * size
