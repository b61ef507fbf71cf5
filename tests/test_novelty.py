"""What is copied from the training text, against brute force."""

from charrnn_copying.novelty import compare
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.text.alphabet import Alphabet, ByteAlphabet


@given(st.text("ab", min_size=1, max_size=40), st.text("abc", max_size=30), st.integers(0, 4))
def test_shares_and_matches_are_those_of_brute_force(training, text, longer_than):
    alphabet = Alphabet("ab")
    found = compare(text, alphabet.encode(training), alphabet, longer_than, top=99)
    inside = set()
    for start in range(len(text)):
        for end in range(start + longer_than + 1, len(text) + 1):
            if text[start:end] in training:
                inside |= set(range(start, end))
    assert found.copied == (len(inside) / len(text) if text else 0)
    grams = [text[i : i + 20] in training for i in range(len(text) - 19)]
    assert found.grams_copied == (sum(grams) / len(grams) if grams else None)
    for match in found.matches:
        assert text[match.start :][: match.length] == match.text != ""
        assert training[match.train_start :][: match.length] == match.text
    runs = (text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1))
    longest = max((len(run) for run in runs if run in training), default=0)
    assert max((match.length for match in found.matches), default=0) == longest
    assert [m.length for m in found.matches] == sorted([m.length for m in found.matches])[::-1]
    covered = [i for m in found.matches for i in range(m.start, m.start + m.length)]
    assert len(covered) == len(set(covered))


def test_bytes_are_compared_as_bytes():
    alphabet = ByteAlphabet()
    found = compare("où est-il", alphabet.encode("là où il est"), alphabet, 2, top=1)
    assert found.unit == "byte" and found.symbols == 10
    assert [(m.text, m.length, m.start) for m in found.matches] == [("où ", 4, 0)]
