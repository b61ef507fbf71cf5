"""N-gram counts that go on with the text they have predicted. No jax."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Ids
from charrnn_core.text.mapped import give_back
from charrnn_core.text.ngrams import MEMORY, ORDER, count_n_grams, ranges
from charrnn_core.text.split import Piece

_BLOCK = 1 << 21
"""How many characters are predicted between two times that the counts are made anew."""

_NUMBERS = 1 << 18
_MOST_AT_A_TIME = 1 << 12
"""Bounds for what is predicted at a time: numbers in all, and characters."""


class Predicted(NamedTuple):
    """What counts say of n characters.

    Fields:
        log_p: float32[n,V], the log-probabilities of all symbols.
        targets: int32[n], the characters.
    """

    log_p: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int32]


class AdaptiveNGrams:
    """Interpolated Witten-Bell n-grams of the orders 0 to 6, which count what they have predicted.

    ``p_k(x) = (n(c,x) + t(c) p_{k-1}(x)) / (n(c) + t(c))`` and ``p_{-1} = 1/V``, where c are the k
    characters before x, n counts in the training text and in all that came before x, and t(c) is
    how many different characters have followed c; where n(c) is 0, ``p_k = p_{k-1}``. Contexts do
    not reach from one piece to another.

    Counts are sparse: a character takes 32 bytes, each different string of at most 7 symbols 12,
    which is some 45 MB for a million characters of English and 120 MB for any text, and two to
    three times that while they are counted. No more than the last 2**23 characters are
    remembered; they are counted anew every 2**21 characters.

    Arguments:
        training: the training text, in ids.
        symbols: V.
        order: the most characters to look back.
        memory, block: as above.
        at_a_time: how many characters to predict at a time; bounds the memory for probabilities.

    Source: Witten and Bell, The zero-frequency problem, 1991, method C, interpolated as by Chen and
    Goodman 1998; adaptive as in Bell, Cleary and Witten, Text Compression, 1990, but without
    exclusion: every order counts every character.

    >>> counts = AdaptiveNGrams(np.array([0, 1, 0]), symbols=2, order=1)
    >>> [predicted] = counts.predict([Piece(0, np.array([1, 0]))])
    >>> np.exp(predicted.log_p).astype(float).round(3).tolist()
    [[0.3, 0.7], [0.75, 0.25]]
    """

    def __init__(
        self,
        training: Ids,
        symbols: int,
        order: int = ORDER,
        *,
        memory: int = MEMORY,
        block: int = _BLOCK,
        at_a_time: int | None = None,
    ) -> None:
        self._symbols, self._order, self._memory = symbols, order, memory
        self._training = training[-memory:]
        self.at_a_time = at_a_time or max(1, min(_MOST_AT_A_TIME, _NUMBERS // symbols))
        self._block = -(-block // self.at_a_time) * self.at_a_time

    def predict(self, pieces: Sequence[Piece]) -> Iterator[Predicted]:
        """Yield predictions of the pieces' characters in order, `at_a_time` but for the last."""
        history = _Text([self._training], [np.ones(len(self._training), bool)])
        for block in _cut(pieces, self._block, self._order):
            counts = _Counts(history, block, self._symbols, self._order)
            for start in range(0, len(counts.places), self.at_a_time):
                yield counts.predict(counts.places[start : start + self.at_a_time])
            history = history.followed_by(block, self._memory)


class _Text(NamedTuple):
    """Texts, and for each of their characters whether it is counted, or only context."""

    ids: list[Ids]
    counted: list[npt.NDArray[np.bool_]]

    def followed_by(self, more: "_Text", most: int) -> "_Text":
        """Return the last `most` characters of both."""
        ids, counted, left = [], [], most
        for some, count in zip(
            reversed(self.ids + more.ids), reversed(self.counted + more.counted), strict=True
        ):
            if left > 0:
                ids.append(some[-left:])
                counted.append(count[-left:])
                left -= len(some)
        return _Text(ids[::-1], counted[::-1])


def _cut(pieces: Sequence[Piece], size: int, order: int) -> Iterator[_Text]:
    """Yield all characters of the pieces, `size` at a time, each text after its context."""
    block, room = _Text([], []), size
    for before, ids in pieces:
        start, context = 0, np.array([before], np.int32)
        while start < len(ids):
            some = np.asarray(ids[start : start + room], np.int32)
            give_back(ids)
            block.ids.append(np.concatenate([context, some]))
            block.counted.append(np.arange(-len(context), len(some)) >= 0)
            start, room, context = start + len(some), room - len(some), block.ids[-1][-order:]
            if not room:
                yield block
                block, room = _Text([], []), size
    if block.ids:
        yield block


class _Counts:
    """The counts of a history, which go on with a block of text, all of whose strings are known.

    Arguments:
        history: what is counted already.
        block: what will be predicted.
        symbols: V.
        order: the most characters to look back.
    """

    def __init__(self, history: _Text, block: _Text, symbols: int, order: int) -> None:
        old = sum(map(len, history.ids))
        counted = np.concatenate([*history.counted, *block.counted])
        (self.places,) = np.nonzero(counted[old:])
        self.places += old
        counted[old:] = False
        tree, self._nodes = count_n_grams([*history.ids, *block.ids], counted, symbols, order + 1)
        self._ids = np.concatenate(block.ids).astype(np.int32)
        self._old, self._symbols, self._order = old, symbols, order
        self._first, self._last, self._count = tree.first, tree.symbols, tree.counts

    def predict(self, places: npt.NDArray[np.int64]) -> Predicted:
        """Predict the characters at these places, which follow one another, and count them."""
        p = np.full((len(places), self._symbols), 1 / self._symbols)
        for order in range(self._order + 1):
            self._refine(p, order, places)
        for nodes in self._nodes[1:, places]:
            np.add.at(self._count, nodes[nodes >= 0], 1)
        return Predicted(np.log(p).astype(np.float32), self._ids[places - self._old])

    def _refine(self, p: Any, order: int, places: npt.NDArray[np.int64]) -> None:
        """Turn the probabilities of one order lower into those of this one, in place.

        What is counted at each place is counted in all before it. So the places are sorted by
        context, and each context gets a lane for each child, which has the child's count at each
        time that the context occurs.
        """
        (rows,) = np.nonzero(self._nodes[order + 1, places] >= 0)
        contexts = self._nodes[order, places[rows] - 1]
        by_context = np.argsort(contexts, kind="stable")
        rows = rows[by_context]
        drawn = self._nodes[order + 1, places[rows]]
        found, begin, times = np.unique(contexts[by_context], return_index=True, return_counts=True)
        if not len(found):
            return
        children = self._first[found + 1] - self._first[found]
        lanes = ranges(self._first[found], children)
        before = self._count[lanes]
        length = np.repeat(times, children)
        start, first_lane = np.cumsum(length) - length, np.cumsum(children) - children
        time = ranges(np.zeros_like(times), times)
        lane = np.repeat(first_lane - self._first[found], times) + drawn
        at = start[lane] + time
        # A count is one more from the next time on; where a lane begins, it is what was before.
        goes_on = time + 1 < np.repeat(times, times)
        n = np.zeros(length.sum(), np.int32)
        n[at[goes_on] + 1] = 1
        after = before + np.bincount(lane[goes_on], minlength=len(lanes))
        n[start] = before - np.concatenate([[0], after[:-1]])
        n = np.cumsum(n)
        total = np.repeat(np.add.reduceat(before, first_lane), times) + time
        new = np.cumsum(n[at] == 0) - (n[at] == 0)
        new -= np.repeat(new[begin], times)
        kinds = np.repeat(np.add.reduceat(before > 0, first_lane, dtype=np.int64), times) + new
        seen = total > 0
        share = np.where(seen, 1 / np.maximum(total + kinds, 1), 1.0)
        p[rows] *= np.where(seen, kinds * share, 1.0)[:, None]
        row = ranges(np.repeat(begin, children), length)
        p[rows[row], np.repeat(self._last[lanes], length)] += n * share[row]
