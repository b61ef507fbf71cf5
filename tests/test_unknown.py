"""Characters an alphabet lacks: where they are, and that the numbers are those of a code."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.evaluation.unknown import find_unknown
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.text.corpus import Corpus

texts = st.text(st.sampled_from("abcXYZ\U0001f98a\ud800"), max_size=30)


def found(pieces, escape=0.0):
    corpus = Corpus(pieces=lambda: iter(pieces), name="n", origin="o")
    return find_unknown(corpus, Alphabet("abc"), escape)


@given(st.lists(texts.filter(bool), max_size=3))
def test_unknown_characters_are_put_back_where_they_were(pieces):
    text = "".join(pieces)
    known = [symbol for symbol in text if symbol in "abc"]
    unknown = found(pieces)
    cut = len(known) // 2
    nats = [np.arange(cut, dtype=np.float32), np.arange(cut, len(known), dtype=np.float32)]
    values, knows = (
        np.concatenate(x) for x in zip(*unknown.among([n for n in nats if len(n)]), strict=True)
    )
    assert knows.tolist() == [symbol in "abc" for symbol in text]
    assert values[knows].tolist() == list(range(len(known)))
    assert np.isnan(values[~knows]).all()
    assert unknown.symbols == "".join(symbol for symbol in text if symbol not in "abc")


@given(texts, st.integers(0, 9), st.integers(0, 9))
def test_every_unknown_character_is_in_one_range(text, first, second):
    unknown, known = found([text] if text else []), sum(symbol in "abc" for symbol in text)
    first, second = sorted((min(first, known), min(second, known)))
    ends = (0, first, second, known)
    parts = [unknown.within([(a, b)], known) for a, b in zip(ends, ends[1:], strict=False) if b > a]
    if parts:
        assert "".join(part.symbols for part in parts) == unknown.symbols
    spans = [(a, b) for a, b in zip(ends, ends[1:], strict=False) if b > a]
    both = unknown.within(spans[:1] + spans[2:], known)
    assert len(both.symbols) == len(both.places) <= len(unknown.symbols)
    assert (np.diff(both.places) >= 0).all()


def test_the_probabilities_of_all_code_points_add_up_to_one():
    escape = 1 / 11
    unknown = found(["aX"], escape)
    p = np.array([0.2, 0.5, 0.3])  # what the model says of a, b and c
    ((nats, _),) = [item for item in unknown.among([-np.log(p)])][:1]
    known = np.exp(-nats[[0, 2, 3]]).sum()  # the second is the unknown one
    assert known == pytest.approx(1 - escape)
    assert known + (0x110000 - 3) * math.exp(-unknown.cost) == pytest.approx(1)
    assert nats[1] == unknown.cost and unknown.counted == 1
    assert found(["aX"]).counted == 0 and math.isnan(found(["aX"]).cost)


def test_bytes_are_never_unknown():
    corpus = Corpus(text="é\ud800", name="n", origin="o")
    unknown = find_unknown(corpus, ByteAlphabet(), 0.5)
    assert len(unknown.places) == 0
    ((nats, _), _) = unknown.among([np.ones(5, np.float32)])
    assert nats.tolist() == [1] * 5 and unknown.mean(1.0, 5) == 1  # nor does it cost anything
