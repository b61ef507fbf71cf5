"""Kneser-Ney: the probabilities of what follows the strings of a text, from their counts. No jax.

A string is told from others of its length by a number, whatever that is: nothing here sees the
symbols of a string, only which strings end at the same place.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]

_FEWEST = 2
"""A longer string that is counted less often has no row: what is shorter says as much."""

_DISCOUNT = 0.5
"""Where counts of counts do not tell one."""


class Strings(NamedTuple):
    """The strings of one length that have a row, in the order of their numbers.

    Fields:
        numbers: int64[R], their numbers.
        counts: int64[R], how often each is counted.
        rows: float32[R,V], the probabilities of what follows.
    """

    numbers: Numbers
    counts: Numbers
    rows: Rows

    def find(self, numbers: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return the rows of strings by their numbers, and which of them have one."""
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return at, self.numbers[at] == numbers


def followers(
    strings: Sequence[Numbers], following: Numbers, symbols: int, most_rows: int
) -> list[Strings]:
    """Return the strings of each length that are counted more than once, and what follows them.

        p(x | s) = (c(s x) - D(c(s x)) + g(s) p(x | s')) / c(s)

    with ``c(s) = sum_x c(s x)`` and ``g(s) = sum_x D(c(s x))``. Of the longest strings c counts how
    often the text has ``s x``, of all others before how many different symbols. D is a discount for
    counts of 1, of 2, and of 3 or more. s' is s without its first symbol, or without as many as it
    takes for s' to have a row; for the empty string, ``p(x | s') = 1 / V``.

    Arguments:
        strings: for each length 1, 2, .. the number, int64[N], of the string that ends at each of
            N places; those of a single symbol are numbered by the symbol.
        following: int64[N], the symbol after each place.
        symbols: V. Every string of a single symbol has a row.
        most_rows: the most longer strings that have a row: those that are counted most often.

    Sources: Kneser and Ney, Improved backing-off for m-gram language modeling, 1995; interpolated
    and with three discounts: Chen and Goodman, An empirical study of smoothing techniques for
    language modeling, 1998.

    >>> text = np.array([0, 1, 0, 1, 0, 0, 1])
    >>> [singles] = followers([text[:-1]], text[1:], symbols=2, most_rows=0)
    >>> singles.counts.tolist(), singles.rows.sum(axis=1).tolist()
    ([4, 2], [1.0, 1.0])
    """
    nothing = np.zeros_like(following)
    root, *levels = reversed(list(_levels([nothing, *strings], following, symbols)))
    uniform = np.full((1, symbols), 1 / symbols, np.float32)
    fewest = _fewest_for_a_row([level.counts() for level in levels[1:]], most_rows)
    found: list[Strings] = []
    for length, level in enumerate(levels, start=1):
        counts = level.counts()
        kept = counts >= (fewest if length > 1 else 0)
        places = level.places[level.begins][kept]
        if length == 1:
            before = np.broadcast_to(
                root.refined(uniform, np.ones(1, bool)), (len(places), symbols)
            )
        else:
            before = after_longest(found, strings, places)
        numbers = level.strings[level.begins][kept]
        found.append(Strings(numbers, counts[kept], level.refined(before, kept)))
    found[0] = _with_all_symbols(found[0], root.refined(uniform, np.ones(1, bool)))
    return found


def after_longest(found: Sequence[Strings], strings: Sequence[Numbers], places: Numbers) -> Rows:
    """Return what follows the longest string with a row that ends at each place.

    Arguments:
        found: from `followers`.
        strings: numbers as they are given to it, of any text.
        places: the places of that text.
    """
    singles, *longer = found
    rows = singles.rows[singles.find(strings[0][places])[0]]
    for level, numbers in zip(longer, strings[1:], strict=False):
        if len(level.numbers):
            at, has_row = level.find(numbers[places])
            rows[has_row] = level.rows[at[has_row]]
    return rows


class _Level(NamedTuple):
    """The G different strings of one length, each with each of the M symbols that follow it.

    Fields:
        strings: int64[M], the number of the string, in order.
        symbols: int64[M], what follows.
        times: int64[M], how often that is counted.
        places: int64[M], a place of the text where it is so.
        begins: int64[G], the first of each string.
    """

    strings: Numbers
    symbols: Numbers
    times: Numbers
    places: Numbers
    begins: Numbers

    def counts(self) -> Numbers:
        """Return how often each string is counted."""
        return np.add.reduceat(self.times, self.begins)

    def refined(self, shorter: Rows, kept: npt.NDArray[np.bool_]) -> Rows:
        """Return what follows the strings that are kept, given what follows shorter ones."""
        row = np.cumsum(kept) - 1
        string = np.repeat(
            np.arange(len(self.begins)), np.diff(self.begins, append=len(self.times))
        )
        of_kept = kept[string]
        discount = _discounts(self.times)[np.minimum(self.times, 3)]
        share = 1 / np.maximum(self.counts(), 1)
        given = np.add.reduceat(discount, self.begins) * share
        rows = (shorter * given[kept, None]).astype(np.float32)
        taken = (self.times - discount) * share[string]
        rows[row[string[of_kept]], self.symbols[of_kept]] += taken[of_kept].astype(np.float32)
        return rows


def _levels(strings: Sequence[Numbers], following: Numbers, symbols: int) -> Iterator[_Level]:
    """Yield the levels from the longest strings to the shortest."""
    places = np.arange(len(following))
    for numbers in reversed(strings):
        keys = numbers[places] * symbols + following[places]
        found, first, times = np.unique(keys, return_index=True, return_counts=True)
        places = places[first]  # each one symbol more to the left, once
        found_strings = found // symbols
        begins = np.flatnonzero(np.diff(found_strings, prepend=-1))
        yield _Level(found_strings, found % symbols, times, places, begins)


def _fewest_for_a_row(counts: Sequence[Numbers], most_rows: int) -> int:
    """Return how often a longer string has to be counted to have a row."""
    every = np.concatenate([np.zeros(0, np.int64), *counts])
    every = every[every >= _FEWEST]
    if len(every) <= most_rows:
        return _FEWEST
    return int(np.partition(every, -most_rows - 1)[-most_rows - 1]) + 1


def _discounts(times: Numbers) -> npt.NDArray[np.float64]:
    """Return the discounts of counts of 0, 1, 2 and 3 or more: float64[4]."""
    n = np.bincount(np.minimum(times, 5), minlength=6)
    steps = np.arange(1, 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_one = n[1] / (n[1] + 2 * n[2])
        discounts = steps - (steps + 1) * of_one * n[2:5] / n[1:4]
    usable = (discounts > 0) & (discounts < steps)
    return np.concatenate([[0.0], np.where(usable, discounts, _DISCOUNT)])


def _with_all_symbols(singles: Strings, root: Rows) -> Strings:
    """Return the strings of a single symbol, also of those that the text does not have."""
    symbols = root.shape[1]
    rows, counts = np.repeat(root, symbols, axis=0), np.zeros(symbols, np.int64)
    rows[singles.numbers], counts[singles.numbers] = singles.rows, singles.counts
    return Strings(np.arange(symbols), counts, rows)
