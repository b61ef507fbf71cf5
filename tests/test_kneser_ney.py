"""Kneser-Ney, against dictionaries of counts in float64."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.evaluation.baselines import kneser_ney_nats, unigram_nats
from charrnn_core.text.kneser_ney import after_longest, followers
from charrnn_core.text.split import Piece

V = 5


def random_text(length, seed):
    """A text with structure: the same few words over and over."""
    rng = np.random.default_rng(seed)
    words = [np.random.default_rng(i).integers(V, size=3 + i % 3) for i in range(9)]
    return np.concatenate([words[i] for i in rng.integers(9, size=length)])[:length]


def numbered(text, order):
    """The strings that end at each place, as numbers to the base V + 1; missing symbols are 0."""
    before = np.concatenate([np.zeros(order - 1, np.int64), text + 1])
    numbers = [text.astype(np.int64)]
    for k in range(2, order + 1):
        digits = [before[order - k + j : order - k + j + len(text)] for j in range(k)]
        numbers.append(sum(d * (V + 1) ** j for j, d in enumerate(digits)))
    return numbers


def char_strings(text, order):
    """The strings of 1, 2, .. symbols that end at each place, as tuples; -1 is before the text."""
    padded = (-1,) * order + tuple(text.tolist())
    ends = range(order + 1, len(padded) + 1)
    return [[padded[end - k : end] for k in range(1, order + 1)] for end in ends]


class Naive:
    """Dictionaries of what follows strings, which are any hashable things.

    Arguments:
        places: the strings of each length that end at each place.
        following: the symbol after each place.
    """

    def __init__(self, places, following):
        lengths = len(places[0])
        self.times = [defaultdict(Counter) for _ in range(lengths + 1)]
        shorter = {}
        for strings, x in zip(places, following, strict=True):
            self.times[lengths][strings[-1]][x] += 1
            for k, pair in enumerate(pairwise(((), *strings))):
                shorter[k + 1, pair[1]] = pair[0]
        for k in reversed(range(lengths)):
            for longer, after in self.times[k + 1].items():
                for x in after:
                    self.times[k][shorter[k + 1, longer]][x] += 1
        self.discounts = [self.discounts_of(level) for level in self.times]

    @staticmethod
    def discounts_of(level):
        n = Counter(min(c, 5) for after in level.values() for c in after.values())
        found = [0.0]
        for i in (1, 2, 3):
            d = 0.5
            if n[1] and n[i]:
                d = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[i + 1] / n[i]
            found.append(d if 0 < d < i else 0.5)
        return found

    def p(self, strings):
        """The probabilities after the longest of some strings, of the lengths 1, 2, ..."""
        k = len(strings)
        after = self.times[k].get(strings[-1] if k else (), {})
        if k > 1 and sum(after.values()) < 2:
            return self.p(strings[:-1])
        lower = self.p(strings[:-1]) if k else np.full(V, 1 / V)
        if not after:
            return lower
        p, given = np.zeros(V), 0.0
        for x, c in after.items():
            d = self.discounts[k][min(c, 3)]
            p[x], given = c - d, given + d
        return (p + given * lower) / sum(after.values())


@pytest.mark.parametrize(("length", "order"), [(400, 4), (60, 3), (7, 2), (300, 1)])
def test_rows_are_those_of_dictionaries(length, order):
    text, other = random_text(length, 0), random_text(50, 1)
    naive = Naive(char_strings(text, order)[:-1], text[1:].tolist())
    strings = [numbers[:-1] for numbers in numbered(text, order)]
    found = followers(strings, text[1:], V, most_rows=10**6)
    rows = after_longest(found, numbered(other, order), np.arange(len(other)))
    expected = [naive.p(strings) for strings in char_strings(other, order)]
    np.testing.assert_allclose(rows, expected, rtol=2e-5, atol=1e-7)


def test_of_many_strings_the_commonest_have_rows():
    text = random_text(3000, 0)
    strings = [numbers[:-1] for numbers in numbered(text, 4)]
    every, some = (followers(strings, text[1:], V, most) for most in (10**6, 20))
    counts = np.concatenate([level.counts for level in every[1:]])
    kept = np.concatenate([level.counts for level in some[1:]])
    assert 10 < len(kept) <= 20 < len(counts) and len(some[0].numbers) == V
    assert kept.min() > np.sort(counts)[-21] - 1
    assert sum(counts >= kept.min()) == len(kept)


@given(st.lists(st.integers(0, V - 1), min_size=2, max_size=60), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_probabilities_add_up_to_one(symbols, order):
    text = np.array(symbols)
    found = followers([n[:-1] for n in numbered(text, order)], text[1:], V, most_rows=10**6)
    assert [len(found), len(found[0].numbers)] == [order, V]
    for level in found:
        np.testing.assert_allclose(level.rows.sum(axis=1), 1, rtol=1e-5)
        assert (level.rows > 0).all()


def test_the_baselines_are_those_of_dictionaries():
    training = random_text(300, 0)
    pieces = [Piece(i, random_text(length, i)) for i, length in enumerate((40, 1, 9))]
    naive = Naive(char_strings(training, 3)[2:-1], training[3:].tolist())
    nats = [
        -math.log(naive.p(strings)[x])
        for before, ids in pieces
        for strings, x in zip(char_strings(np.array([before, *ids[:-1]]), 3), ids, strict=True)
    ]
    found = kneser_ney_nats(training, pieces, V, order=3)
    assert found == pytest.approx(np.mean(nats), rel=1e-5)
    n = np.bincount(training, minlength=V)
    tiny = training[:1], [Piece(0, np.array([2, 3]))], V
    assert kneser_ney_nats(*tiny) == unigram_nats(*tiny)
    assert math.isfinite(kneser_ney_nats(training[:2], *tiny[1:]))
    expected = [-math.log((n[x] + 1) / (300 + V)) for _, ids in pieces for x in ids]
    assert unigram_nats(training, pieces, V) == pytest.approx(np.mean(expected))
