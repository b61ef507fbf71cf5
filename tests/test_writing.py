"""Where a sample ends, and what is told of its characters."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import api
from charrnn_core.errors import OptionError
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.model import Model, build_network
from charrnn_core.sampling.draw import Drawn
from charrnn_core.sampling.text import Ending, can_write, written
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.training.batches import Subsequences


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
    with pytest.raises(OptionError, match="a stop string is b'a'; expected the text"):
        written(pieces, alphabet, 2, stops=[b"a"])


def test_one_stop_string_may_stand_alone():
    alphabet = Alphabet.of("abT. ")
    pieces = drawn_for(alphabet, ["a. Tb"], [2])
    assert joined(written(pieces, alphabet, 1, stops=". T")) == ["a"]


@pytest.mark.parametrize(
    "text, alphabet, can",
    [
        ("ab", Alphabet.of("abc"), True),
        ("aΩ", Alphabet.of("abc"), False),
        ("aΩ", ByteAlphabet(), True),
        ("a\udcff", ByteAlphabet(), False),  # a byte that is no character is shown as U+FFFD
        ("\ufffd", ByteAlphabet(), True),
    ],
)
def test_what_a_model_can_write(text, alphabet, can):
    assert can_write(text, alphabet) is can


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


@pytest.fixture(scope="module")
def model(registry) -> Model:
    """A model that has learnt nothing."""
    config = RunConfig(cell="elman:4", embedding=0).resolve(registry)
    alphabet = Alphabet(" .Tab")
    network = build_network(config, alphabet, registry)
    params = network.compiled_init(jax.random.key(0))
    return Model(config, alphabet, network, params, registry, {"plugins": []})


def test_a_stop_string_alone_is_one_stop_string(model):
    text = api.generate(model, length=300, sampler="temperature:1")
    assert ". T" in text
    assert (
        api.generate(model, length=300, sampler="temperature:1", stop=". T")
        == (text[: text.index(". T")])
    )
    with pytest.raises(OptionError, match="a stop string is empty"):
        api.generate(model, stop="")


def test_a_stop_string_that_cannot_be_written_is_noted(model, capsys):
    lines = []
    api.write(model, stop=["a", "Ω", "ab"], note=lines.append)
    [line] = lines
    assert line.startswith("note: no sample can end at the stop string 'Ω'")
    api.generate(model, length=1, stop="b\n")
    assert "no sample can end at the stop string 'b\\n'" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 1.5, "1"])
def test_a_seed_is_in_bounds_wherever_it_enters(model, seed):
    subsequences = Subsequences(np.arange(99, dtype=np.int32), stretch=10, window=4, seed=seed)
    for enter in (
        lambda: api.generate(model, seed=seed),
        lambda: api.stream(model, seed=seed),
        lambda: api.write(model, seed=seed),
        lambda: subsequences.batch(0, 0),
    ):
        with pytest.raises(OptionError, match="seed is .*; expected an integer from 0 to 4294967"):
            enter()
    if seed != "1":  # which is how the command line has it
        with pytest.raises(OptionError, match="option 'seed' of the run is"):
            RunConfig(seed=seed)


def test_the_largest_seed_is_one_of_its_own(model):
    largest = api.generate(model, length=50, seed=np.uint32(2**32 - 1))
    assert largest == api.generate(model, length=50, seed=2**32 - 1)
    assert largest != api.generate(model, length=50, seed=0)
