"""The suffix automaton of a text: which of its substrings a reader is inside of. No jax."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CorpusError
from charrnn_core.text.alphabet import Ids

MOST = 1 << 23
"""The longest text an automaton is built for: building takes some 200 bytes of memory for each
of its symbols."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class SuffixAutomaton:
    """The smallest automaton that reads every substring of a text, as flat arrays.

    A state stands for the substrings that end at the same places of the text. State 0, the root,
    stands for the empty one.

    Arguments:
        first: int32[S+1]: the transitions of state s are ``first[s]`` to ``first[s+1]``, without
            the end.
        symbols: int32[E]: the symbol each transition reads; increasing within a state.
        targets: int32[E]: the state it leads to.
        links: int32[S]: the state of the longest suffix that ends at more places; -1 for the root.
        lengths: int32[S]: the length of the longest substring of the state.
        ends: int32[S]: one place where its substrings end: the number of symbols up to there.

    >>> automaton = suffix_automaton(np.array([1, 2, 1, 2, 0]))
    >>> [lengths.tolist() for lengths in automaton.longest_matches([2, 1, 2, 2, 0])]
    [[1, 2, 3, 1, 2], [4, 3, 4, 4, 5]]
    """

    first: Ints
    symbols: Ints
    targets: Ints
    links: Ints
    lengths: Ints
    ends: Ints

    def longest_matches(self, ids: Ids | list[int]) -> tuple[Ints, Ints]:
        """Return, for every position, the longest match with the text that ends there.

        Arguments:
            ids: the symbols to look for, one-dimensional; a negative one matches nothing.

        Returns:
            How many symbols each match has, itself included, and one place of the text where it
            ends; both int32[len(ids)].
        """
        first, symbols, targets = self.first.tolist(), self.symbols.tolist(), self.targets.tolist()
        links, longest, ends = self.links.tolist(), self.lengths.tolist(), self.ends.tolist()
        state, length = 0, 0
        found = np.zeros((2, len(ids)), np.int32)
        for n, symbol in enumerate(np.asarray(ids).tolist()):
            while state >= 0:
                edge = bisect_left(symbols, symbol, first[state], end := first[state + 1])
                if edge < end and symbols[edge] == symbol:
                    break
                state = links[state]
                length = longest[state]
            else:
                state, length = 0, 0
                continue
            state, length = targets[edge], length + 1
            found[:, n] = length, ends[state]
        return found[0], found[1]


def suffix_automaton(ids: Ids) -> SuffixAutomaton:
    """Build the automaton of a text, in time O(n log n) and as whole arrays.

    The states are the nodes of the suffix tree of the reversed text: the parent of a node is its
    suffix link, and the suffix links of that tree, read backwards, are the transitions.

    Arguments:
        ids: the text's symbols, one-dimensional, none negative.

    Raises:
        CorpusError: the text is longer than `MOST`.

    Source: Blumer et al., The smallest automaton recognizing the subwords of a text, 1985, whose
    construction is symbol by symbol; here it is made from a suffix array (Manber and Myers 1993).
    """
    if len(ids) > MOST:
        raise CorpusError(
            f"the text has {len(ids):,} symbols, too many to index its substrings; expected at "
            f"most {MOST:,}: use a shorter text"
        )
    reverse = np.asarray(ids[::-1], np.int32)
    order, common = _suffix_array(reverse)
    parents, depths, starts, state_of = _suffix_tree(order, common)
    sources, targets = _transitions(parents, depths, state_of[starts[1:] + 1])
    read = reverse[starts[targets]]
    by_source = np.lexsort((read, sources))
    counts = np.bincount(sources, minlength=len(parents))
    return SuffixAutomaton(
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        symbols=read[by_source],
        targets=targets[by_source].astype(np.int32),
        links=parents.astype(np.int32),
        lengths=depths.astype(np.int32),
        ends=(len(reverse) - starts).astype(np.int32),
    )


def _suffix_array(text: Ids) -> tuple[Ids, Ids]:
    """Return the starts of a text's sorted suffixes, and the lengths neighbours share.

    The empty suffix is the first. `common[p]` is the length of the longest common prefix of the
    suffixes p - 1 and p; it is -1 before the first and after the last.

    Ranks by the first 1, 2, 4, ... symbols; two such ranks make the next.
    """
    n = len(text)
    rank = np.append(text + 1, 0).astype(np.int32)
    ranks, order, width = [], np.argsort(rank, kind="stable"), 1
    while True:
        ordered = rank[order]
        # Two suffixes that are the same so far neither ends before `width`.
        ranks.append(rank)
        if len(ordered) < 2 or (np.diff(ordered) > 0).all():
            break
        following = np.zeros(n + 1, np.int64)
        following[:-width] = rank[width:] + 1
        key = rank.astype(np.int64) * (int(rank.max()) + 2) + following
        order = np.argsort(key)
        rank = np.empty(n + 1, np.int32)
        rank[order] = np.cumsum(np.diff(key[order], prepend=key[order[0]]) > 0)
        width *= 2
    one, other = order[:-1], order[1:]
    common = np.full(n + 2, -1, np.int32)
    common[1:-1] = 0
    for level in reversed(range(len(ranks))):
        # Equal ranks are equal symbols: no two suffixes end at the same distance.
        same = ranks[level][one] == ranks[level][other]
        step = same.astype(np.int64) << level
        one, other = one + step, other + step
        common[1:-1] += step.astype(np.int32)
    return order.astype(np.int32), common


def _suffix_tree(order: Ids, common: Ids) -> tuple[Ids, Ids, Ids, Ids]:
    """Return a suffix tree's nodes (parents, depths, starts) and each suffix's node.

    The root is the first. An inner node is a maximal run of neighbours that have `depth` symbols in
    common (Abouelhoda et al. 2004); a suffix that is such a node's own string has none of its own.
    """
    n = len(order) - 1
    before = _smaller_before(common[:-1])
    after = n + 1 - _smaller_before(common[:0:-1])[::-1]
    before, after = np.append(before, 0), np.append(0, after)
    runs = before.astype(np.int64) * (n + 2) + common
    _, firsts, run_of = np.unique(runs[1:-1], return_index=True, return_inverse=True)
    firsts, inner = firsts + 1, np.concatenate([[-1], run_of, [-1]])

    def deeper(one: Ids, other: Ids) -> Ids:
        return inner[np.where(common[one] >= common[other], one, other)]

    places = np.arange(n + 1)
    own = common[1:] != n - order
    state_of = np.empty(n + 1, np.int64)
    state_of[order] = np.where(own, len(firsts) + np.cumsum(own) - 1, inner[1:])
    parents = np.append(deeper(before[firsts], after[firsts]), deeper(places, places + 1)[own])
    depths = np.append(common[firsts], (n - order)[own])
    return parents, depths, np.append(order[firsts], order[own]), state_of


def _smaller_before(values: Ids) -> Ids:
    """Return, for each value but the first (the least), the last smaller one before it."""
    before = np.maximum(np.arange(len(values)) - 1, 0)
    undecided = np.arange(1, len(values))
    while len(undecided := undecided[values[before[undecided]] >= values[undecided]]):
        before[undecided] = before[before[undecided]]
    return before


def _transitions(parents: Ids, depths: Ids, shortened: Ids) -> tuple[Ids, Ids]:
    """Return the states each transition joins.

    Into a state lead those that are one symbol shorter than some substring of it: of the strings
    `shortened` by the symbol that is read, the prefixes that are long enough.
    """
    into, source = np.arange(1, len(parents)), shortened
    sources, targets = [], []
    while len(into):
        fits = depths[source] < depths[into]
        sources.append(source[fits])
        targets.append(into[fits])
        source = parents[source]
        more = (source >= 0) & (depths[source] >= depths[parents[into]])
        into, source = into[more], source[more]
    return np.concatenate(sources or [into]), np.concatenate(targets or [into])
