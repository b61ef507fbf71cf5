"""Passages that occur twice, against looking for each; mojibake and other forms of a character."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.text.mojibake import find_mojibake
from charrnn_core.text.passages import _AT_ONCE, repeats
from charrnn_core.text.two_forms import find_two_forms

texts = st.lists(st.text("ab", max_size=60), min_size=1, max_size=3)


def looked_for(parts: list[str], length: int) -> list[tuple[int, int]]:
    """Where each window begins that has occurred before, and where it did so first."""
    found, begin, seen = [], 0, dict[str, int]()
    for part in parts:
        for at in range(len(part) - length + 1):
            first = seen.setdefault(part[at : at + length], begin + at)
            if begin + at - first >= length:
                found.append((begin + at, first))
        begin += len(part)
    return found


@given(texts, st.integers(1, 9))
def test_windows_that_have_occurred_before(parts, length):
    found = repeats([np.frombuffer(part.encode(), np.uint8) for part in parts], length)
    expected = looked_for(parts, length)
    assert list(zip(found.starts.tolist(), found.firsts.tolist(), strict=True)) == expected
    inside = {start + i for start, _ in expected for i in range(length)}
    assert found.characters == len(inside)


@given(texts, st.integers(2, 6))
def test_passages_are_as_long_as_they_go_and_are_what_they_say(parts, length):
    text = "".join(parts)
    found = repeats([np.frombuffer(part.encode(), np.uint8) for part in parts], length)
    passages = found.longest(10**6)
    sizes = [passage.end - passage.start for passage in passages]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(size - length + 1 for size in sizes) == len(found.starts)
    for start, end, first in passages:
        assert text[start:end] == text[first : first + end - start]


def test_a_long_text_is_hashed_in_pieces_without_a_seam():
    text = np.random.default_rng(0).integers(0, 1000, 3 * _AT_ONCE + 5)
    seam = 2 * _AT_ONCE
    text[seam - 60 : seam + 60] = text[100:220]
    [passage] = repeats([text], 100).longest(5)
    assert passage == (seam - 60, seam + 60, 100)


def test_parts():
    text = np.random.default_rng(0).integers(0, 100, 400)
    text[100:150], text[350:390] = text[:50], text[10:50]
    found = repeats([text[:300], text[300:]], 20)
    assert found.between(0, 300).characters == 50
    assert found.between(300, 400).characters == 40
    assert found.between(300, 400, first_before=20).longest(1)[0].first == 10


letters = st.text("abc ÄÖÜäöüßéèñçœŁ€–—“”‘’…", min_size=1, max_size=40)


@given(letters)
def test_what_was_read_in_the_wrong_encoding_is_found_and_mended(text):
    for encoding in ("cp1252", "latin-1"):
        try:
            wrong = text.encode().decode(encoding)
        except UnicodeError:  # Windows-1252 has no character for five bytes
            continue
        assert [found.mended for found in find_mojibake(wrong)] == [text] * (not text.isascii())


@given(letters)
def test_nothing_is_found_in_what_people_write(text):
    """Capitals of two languages and a closing quotation mark after them may look like it."""
    if not any(pair in text for pair in ("Ä“", "Ä”", "Ä—", "Ä–", "Ä’", "Ä‘", "Ä…", "Ä€")):
        assert not list(find_mojibake(f"{text} Ü"))


@pytest.mark.parametrize("text", ["daß“ er", "CAFÉ”", "voilà\xa0» dit-il", "NAÏVE", "Ö…", "naïve"])
def test_no_single_letter_makes_mojibake(text):
    assert not list(find_mojibake(text))


def test_another_script():
    wrong = "Привет, мир".encode().decode("latin-1")
    [found] = find_mojibake(f"one\n{wrong}\n")
    assert (found.start, found.mended) == (4, "Привет, мир")


@given(st.text("aeiou nÅ\u0301\u0308", max_size=50))
def test_two_forms_are_those_that_a_normal_form_makes_one(text):
    mixed = f"{text} é e\u0301"
    found = find_two_forms(mixed, "".join(sorted(set(mixed))))
    assert "é" in {form.composed for form in found}
    for form in found:
        assert unicodedata.normalize("NFD", form.composed) == unicodedata.normalize(
            "NFD", form.decomposed
        )
        assert mixed[form.place :].startswith(form.decomposed)
    whole = unicodedata.normalize("NFC", mixed)
    assert not find_two_forms(whole, "".join(sorted(set(whole))))
