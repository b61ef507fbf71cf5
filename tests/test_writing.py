"""Where a sample ends, and what is told of its characters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.alphabet import Alphabet, ByteAlphabet
from charrnn_core.errors import OptionError
from charrnn_core.sampling import Drawn
from charrnn_core.writing import Ending, written


def cut(text, sizes):
    """The text in pieces of these sizes, again and again."""
    pieces, start, i = [], 0, 0
    while start < len(text):
        size = sizes[i % len(sizes)]
        pieces.append(text[start : start + size])
        start, i = start + size, i + 1
    return pieces


def drawn_for(alphabet, texts, sizes, scored=False):
    """What a generator would give for these texts of one length."""
    ids = np.stack([alphabet.encode(text) for text in texts], axis=1)
    scores = (-0.5 * ids, -0.25 * ids) if scored else ()
    whole, start = Drawn(ids, *scores), 0
    for piece in cut(ids, sizes):
        yield whole.part(slice(start, start + len(piece)))
        start += len(piece)


def joined(items):
    return ["".join(piece.text for piece in pieces) for pieces in zip(*items, strict=True)]


@given(
    text=st.text("ab.", max_size=40),
    stops=st.lists(st.text("ab.", min_size=1, max_size=5), max_size=3),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_a_text_ends_before_the_first_stop_string(text, stops, sizes):
    """However it comes in pieces; and nothing is held back that no stop string begins with."""
    ending, shown, fed = Ending(stops), "", ""
    for piece in cut(text, sizes):
        shown, fed = shown + ending.feed(piece), fed + piece
        rest = fed[len(shown) :]
        assert ending.ended or not rest or any(rest[0] == stop[0] for stop in stops)
        if ending.ended:
            break
    else:
        shown += ending.feed("", last=True)
    first = min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))
    assert shown == text[:first]
    assert ending.ended == (first < len(text))


@pytest.mark.parametrize(
    "text, length, shown",
    [
        ("It rains. It pours. ", 3, "It rains."),
        ("It rains. It pours. ", 9, "It rains."),  # it has just ended
        ("It rains. It pours. ", 10, "It rains. It pours."),
        ("It is 3.14, no? Yes.\n", 4, "It is 3.14, no?"),
        ('"It rains!" he said. ', 2, '"It rains!"'),
        ("Wait ... what?!\nNo", 12, "Wait ... what?!"),
        ("雨が降る。風。", 2, "雨が降る。"),
        ("no end at all", 5, "no end at all"),
    ],
)
@pytest.mark.parametrize("sizes", [[1], [3], [50]])
def test_a_text_ends_with_its_sentence(text, length, shown, sizes):
    alphabet = Alphabet.of(text)
    items = written(drawn_for(alphabet, [text], sizes), alphabet, 1, sentence_from=length)
    assert joined(items) == [shown]


def test_samples_end_on_their_own_and_no_more_is_asked_for():
    alphabet = Alphabet.of("abc-")
    pieces = drawn_for(alphabet, ["ab-cccc", "abcab-c"], [2])
    assert joined(written(pieces, alphabet, 2, stops=["-"])) == ["ab", "abcab"]
    assert len(list(pieces)) == 1
    with pytest.raises(OptionError, match="a stop string is empty"):
        written(pieces, alphabet, 2, stops=["a", ""])


@pytest.mark.parametrize("sizes", [[1], [2, 5], [99]])
def test_characters_have_the_sums_over_their_bytes(sizes):
    alphabet, text = ByteAlphabet(), "aé€ b"
    items = written(drawn_for(alphabet, [text], sizes, scored=True), alphabet, 1, stops=["€ c"])
    characters = [character for [piece] in items for character in piece.characters]
    assert [character.text for character in characters] == [*text]
    for character in characters:
        total = sum(character.text.encode())
        assert (character.model, character.sampler) == (-0.5 * total, -0.25 * total)


@pytest.mark.parametrize("sizes", [[1], [2], [99]])
def test_bytes_that_are_no_character_are_told_apart(sizes):
    """The decoder gives what stands for them together with the next character."""
    alphabet, ids = ByteAlphabet(), [0xC3, 0x61, 0x63, 0xE2, 0x82, 0x62]
    drawn = drawn_for(alphabet, [bytes(ids).decode(errors="surrogateescape")], sizes, scored=True)
    items = [*written(drawn, alphabet, 1, stops=["ab"])]
    told = [(c.text, c.model) for [piece] in items for c in piece.characters]
    scores = [-0.5 * i for i in (0xC3, 0x61, 0x63, 0xE2 + 0x82, 0x62)]
    assert told == [*zip("\ufffdac\ufffdb", scores, strict=True)]
    assert joined(items) == ["\ufffdac\ufffdb"]


def test_a_character_that_is_not_shown_is_not_told():
    alphabet = ByteAlphabet()
    items = written(drawn_for(alphabet, ["aé€ b"], [2], scored=True), alphabet, 1, stops=["€ "])
    assert [c.text for [piece] in items for c in piece.characters] == ["a", "é"]
