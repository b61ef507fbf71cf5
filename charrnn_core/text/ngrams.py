"""N-grams: the strings of a few symbols in a text, numbered, and how often each occurs. No jax."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Ids

Numbers = npt.NDArray[np.int32]

ORDER = 6
"""The most characters that counts look back."""

MEMORY = 1 << 23
"""How many characters are counted at most: the last ones."""


class Level(NamedTuple):
    """The G different strings of one length, in order of their first symbols, then of the last.

    Fields:
        parents: int32[G], the number of each without its last symbol, in the level before.
        symbols: int32[G], its last symbol.
        suffixes: int32[G], the number of it without its first symbol, in the level before.
        at: int32[N], the string that ends at each place of the texts; -1 where none fits.
    """

    parents: Numbers
    symbols: Numbers
    suffixes: Numbers
    at: Numbers


def n_gram_levels(texts: Sequence[Ids], symbols: int, longest: int) -> Iterator[Level]:
    """Number the strings of 1, 2, ..., `longest` symbols; none reaches from one text to another.

    Sorting pairs of numbers, a string's and the next symbol's, makes the next level: there is no
    hashing, so there are no collisions.

    Arguments:
        texts: one-dimensional arrays of ids, N in all; a place is one of their concatenation.
        symbols: V, the size of the alphabet.
        longest: the length of the last level's strings.

    >>> one, two = n_gram_levels([np.array([0, 1, 0]), np.array([1, 0])], symbols=2, longest=2)
    >>> [*zip(two.parents.tolist(), two.symbols.tolist())], two.at.tolist()
    ([(0, 1), (1, 0)], [-1, 0, 1, -1, 1])
    """
    x = np.concatenate([np.zeros(0, np.int32), *texts]).astype(np.int32, copy=False)
    lengths = np.array([len(text) for text in texts], int)
    room = ranges(np.zeros_like(lengths), lengths)
    at, strings = np.zeros(len(x), np.int32), 1
    for length in range(1, longest + 1):
        (ends,) = np.nonzero(room >= length - 1)
        # Sorting, which is most of the work, takes half the time in the smaller type.
        kind = np.int32 if strings * symbols < 2**31 else np.int64
        keys = at[ends - 1].astype(kind) * kind(symbols) + x[ends]
        found, number = np.unique(keys, return_inverse=True)
        suffixes = np.zeros(len(found), np.int32)
        suffixes[number] = at[ends]
        at = np.full(len(x), -1, np.int32)
        at[ends] = number
        strings = len(found)
        yield Level(
            parents=(found // symbols).astype(np.int32),
            symbols=(found % symbols).astype(np.int32),
            suffixes=suffixes,
            at=at,
        )


@dataclass(frozen=True)
class NGrams:
    """The strings of a text up to some length as a tree, in which a child is longer by a symbol.

    Nodes are numbered level by level, and children in the order of their parents, so that those of
    node s are ``first[s]`` to ``first[s + 1]``, without the end. Node 0, the root, is the empty
    string. A node takes 16 bytes, and a text of N symbols has at most N nodes in a level; English
    of a million characters has 0.8 million in seven.

    Arguments:
        first: int32[S+1], the first child of each node.
        symbols: int32[S], its last symbol.
        suffixes: int32[S], the node without its first symbol; the root is its own.
        counts: int32[S], how often it occurs in what is counted.
        levels: the first node of each length, and S.

    >>> tree, _ = count_n_grams([np.array([0, 1, 0, 1])], np.ones(4, bool), symbols=2, longest=2)
    >>> tree.first.tolist(), tree.symbols.tolist(), tree.counts.tolist()
    ([1, 3, 4, 5, 5, 5], [0, 0, 1, 1, 0], [4, 2, 2, 2, 1])
    """

    first: Numbers
    symbols: Numbers
    suffixes: Numbers
    counts: Numbers
    levels: tuple[int, ...]


def count_n_grams(
    texts: Sequence[Ids], counted: npt.NDArray[np.bool_], symbols: int, longest: int
) -> tuple[NGrams, Numbers]:
    """Count the strings of at most `longest` symbols in texts.

    Arguments:
        texts: as for `n_gram_levels`, N places in all.
        counted: bool[N]; strings that end elsewhere are nodes, too, but are not counted.
        symbols: V.
        longest: the length of the longest strings.

    Returns:
        The tree, and int32[longest+1,N]: the node of each length that ends at each place, or -1.
    """
    begin, levels = 0, [0, 1]
    children, last, suffixes = [], [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]
    counts = [np.array([counted.sum()], np.int32)]
    nodes = np.zeros((longest + 1, len(counted)), np.int32)
    for length, level in enumerate(n_gram_levels(texts, symbols, longest), start=1):
        strings = levels[-1] - begin
        children.append(np.bincount(level.parents, minlength=strings).astype(np.int32))
        last.append(level.symbols)
        suffixes.append(level.suffixes + np.int32(begin))
        here = level.at[counted]
        times = np.bincount(here[here >= 0], minlength=len(level.symbols))
        counts.append(times.astype(np.int32))
        begin = levels[-1]
        nodes[length] = np.where(level.at < 0, -1, level.at + np.int32(begin))
        levels.append(begin + len(level.symbols))
    children.append(np.zeros(levels[-1] - begin, np.int32))
    return NGrams(
        first=np.cumsum(np.concatenate([np.ones(1, np.int32), *children]), dtype=np.int32),
        symbols=np.concatenate(last),
        suffixes=np.concatenate(suffixes),
        counts=np.concatenate(counts),
        levels=tuple(levels),
    ), nodes


def ranges(begins: Any, lengths: Any) -> npt.NDArray[np.int64]:
    """Return ``begin, begin + 1, ...``, as many as each length says, one after the other.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.repeat(begins - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
