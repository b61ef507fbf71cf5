"""Text to ids and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError, UnknownSymbolError
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.decode import decode_text

TEXT = st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n\r")
"""What texts have; those full of control characters are taken for binary data."""

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates and all


@given(any_text)
def test_decode_undoes_encode(text):
    alphabet = Alphabet.of(text)
    ids = alphabet.encode(text)
    assert alphabet.decode(ids) == text
    assert ids.dtype == np.int32 and len(ids) == len(text)
    assert len(alphabet) == len(set(text)) and list(alphabet.symbols) == sorted(set(text))


@given(st.lists(st.characters(), unique=True, min_size=1), st.data())
def test_an_alphabet_keeps_the_order_it_is_given(symbols, data):
    alphabet = Alphabet("".join(symbols))
    ids = data.draw(st.lists(st.integers(0, len(symbols) - 1)))
    assert alphabet.decode(ids) == "".join(symbols[i] for i in ids)
    assert alphabet.encode(alphabet.decode(ids)).tolist() == ids


@given(any_text, any_text)
def test_unknown_symbols_are_listed_or_skipped(known, text):
    alphabet = Alphabet.of(known)
    lacking = sorted(set(text) - set(known))
    skipped = alphabet.decode(alphabet.encode(text, unknown="skip"))
    assert skipped == "".join(symbol for symbol in text if symbol in known)
    if lacking:
        with pytest.raises(UnknownSymbolError) as error:
            alphabet.encode(text)
        assert all(repr(symbol) in str(error.value) for symbol in lacking[:10])


def test_an_alphabet_cannot_repeat_a_symbol():
    with pytest.raises(CorpusError, match="cannot repeat"):
        Alphabet("aba")


def test_alphabets_compare_by_symbols():
    assert Alphabet("ab") == Alphabet("ab") != Alphabet("ba")
    assert len({Alphabet("ab"), Alphabet("ab")}) == 1


@given(st.text(TEXT))
def test_bytes_become_text_with_line_feeds(text):
    expected = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert decode_text(text.encode(), "here") == expected


@given(st.text(TEXT, max_size=20))
def test_bad_bytes_are_located(text):
    data = text.encode() + b"\xff" + b"tail"
    with pytest.raises(
        CorpusError, match=rf"here is not UTF-8: byte 0xff at offset {len(data) - 5}"
    ):
        decode_text(data, "here")


def test_a_corpus_is_known_by_its_text():
    one, other = (Corpus(text=t, name="n", origin="o") for t in ("a", "b"))
    assert one.sha256 != other.sha256 == Corpus(text="b", name="m", origin="p").sha256
