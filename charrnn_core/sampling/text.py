"""From drawn ids to text: decode it, and end it at a stop string or a sentence."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn_core.errors import OptionError, UnknownSymbolError, shown
from charrnn_core.sampling.draw import Drawn
from charrnn_core.text.alphabet import Alphabet

FARTHEST = 1000
"""How many characters beyond the requested length to look for the end of a sentence."""

_SENTENCE_END = re.compile(r"""[.!?…]["'”’»)\]]*(?=\s)|[。！？]["'”’»」』）]*(?=[^"'”’»」』）])""")
_CONTEXT = 16


class Character(NamedTuple):
    """One character of a sample and its log-probabilities, summed over its bytes if it has several.

    Fields:
        text: the character.
        model: its log-probability under the model, in nats.
        sampler: its log-probability under the distribution it was drawn from.
    """

    text: str
    model: float
    sampler: float


class Written(NamedTuple):
    """The next piece of a sample: its text and, if requested, its characters."""

    text: str
    characters: tuple[Character, ...] = ()


def read_stops(stop: str | Iterable[str]) -> tuple[str, ...]:
    """Return stop strings, given as one or several.

    Raises:
        OptionError: one is empty, or not text.

    >>> read_stops(". T"), read_stops(["a", "b"])
    (('. T',), ('a', 'b'))
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    for each in stops:
        if not isinstance(each, str) or not each:
            what = "empty" if each == "" else shown(each)
            raise OptionError(f"a stop string is {what}; expected the text that ends a sample")
    return stops


def can_write(text: str, alphabet: Alphabet) -> bool:
    """Return whether a model with this alphabet can write a text at all.

    >>> can_write("ab", Alphabet("abc")), can_write("abd", Alphabet("abc"))
    (True, False)
    """
    try:
        return alphabet.decode(alphabet.encode(text)) == text
    except UnknownSymbolError:
        return False


class Ending:
    """Finds the end of a text as it arrives: before a stop string, or after a sentence.

    A sentence ends in ``.``, ``!``, ``?`` or ``…``, perhaps with closing quotes and brackets,
    followed by white space, or in ``。``, ``！`` or ``？``.

    Arguments:
        stops: the text ends before the first occurrence of any of these.

    The caller sets `at_sentence` when the text should end with the current sentence.

    >>> ending = Ending(["END"])
    >>> ending.feed("the E"), ending.feed("nd. The EN"), ending.feed("D."), ending.ended
    ('the ', 'End. The ', '', True)
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.stops = tuple(stops)
        self.at_sentence = self.ended = False
        self._held = self._before = ""

    def feed(self, text: str, last: bool = False) -> str:
        """Take more text; return what is safe to show, holding back a possible stop string."""
        text = self._held + text
        found = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        first = min(found, default=len(text))
        sure = len(text) if last else len(text) - self._may_begin_a_stop(text)
        self.ended = bool(found) and first <= sure
        end = min(first, sure)
        text, self._held = text[:end], text[end:]
        if self.at_sentence:
            text = self._up_to_a_sentence(text)
        self._before = (self._before + text)[-_CONTEXT:]
        return text

    def _may_begin_a_stop(self, text: str) -> int:
        """Return the length of the longest suffix of the text that is a prefix of a stop string."""
        longest = max(map(len, self.stops), default=0)
        sizes = range(1, min(longest, len(text) + 1))
        return max(
            (n for n in sizes if any(stop.startswith(text[-n:]) for stop in self.stops)), default=0
        )

    def _up_to_a_sentence(self, text: str) -> str:
        known = len(self._before)
        for match in _SENTENCE_END.finditer(self._before + text):
            if match.end() >= known:
                self.ended = True
                return text[: match.end() - known]
        return text


class Sample:
    """One sample: the text decoded from its draws until it ends."""

    def __init__(self, alphabet: Alphabet, stops: Sequence[str]) -> None:
        self.ending = Ending(stops)
        self._decode = alphabet.decoder()
        self._incomplete = (0.0, 0.0)
        self._waiting: list[Character] = []

    def take(self, drawn: Drawn, last: bool = False) -> Written:
        """Take the next draws of this stream, ``[K]``; return the text that is now complete."""
        if self.ending.ended:
            return Written("")
        if drawn.model is None:
            return Written(self.ending.feed(self._decode(drawn.ids, last=last), last))
        text = ""
        for i, *scores in zip(drawn.ids, drawn.model, drawn.sampler, strict=True):
            text += self._add(self._decode([i]), *map(float, scores))
        text += self._add(self._decode((), last=last))
        return self._characters_of(self.ending.feed(text, last))

    def _add(self, text: str, model: float = 0.0, sampler: float = 0.0) -> str:
        """Queue the character that this id completes, with the sums over all of its ids.

        If the bytes before it turn out to be invalid, U+FFFD is queued before it. Returns `text`.
        """
        if len(text) > 1:
            self._waiting.append(Character(text[:-1], *self._incomplete))
            self._incomplete = (0.0, 0.0)
        model, sampler = model + self._incomplete[0], sampler + self._incomplete[1]
        self._incomplete = (0.0, 0.0) if text else (model, sampler)
        if text:
            self._waiting.append(Character(text[-1], model, sampler))
        return text

    def _characters_of(self, text: str) -> Written:
        """Return this text with its characters, which leave the queue."""
        size = count = 0
        while size < len(text):
            size += len(self._waiting[count].text)
            count += 1
        known, self._waiting = self._waiting[:count], self._waiting[count:]
        return Written(text, tuple(known))


def written(
    pieces: Iterable[Drawn],
    alphabet: Alphabet,
    n: int,
    *,
    stops: str | Iterable[str] = (),
    sentence_from: int | None = None,
) -> Iterator[list[Written]]:
    """Turn drawn ids into text: each item holds the next piece of all `n` samples.

    Arguments:
        pieces: ``[K,n]`` each, with log-probabilities if characters are wanted.
        alphabet: the model's symbols.
        n: the number of samples.
        stops: one or several stop strings; a sample ends before the first, which is not written.
        sentence_from: the number of ids after which a sample ends with its sentence.

    A sample that has ended gets empty pieces; once all have ended, no more ids are drawn.

    Raises:
        OptionError: a stop string is empty or not text.

    >>> import numpy as np
    >>> drawn = iter([Drawn(np.array([[1, 0], [0, 0], [1, 1]]))])
    >>> items = written(drawn, Alphabet("ab"), 2, stops=["ab"])
    >>> [[piece.text for piece in pieces] for pieces in items]
    [['b', 'a']]
    """
    stops = read_stops(stops)
    return _written(pieces, [Sample(alphabet, stops) for _ in range(n)], sentence_from)


def _written(
    pieces: Iterable[Drawn], samples: list[Sample], sentence_from: int | None
) -> Iterator[list[Written]]:
    done, piece = 0, Drawn(np.empty((0, len(samples)), np.int32))
    for piece in pieces:
        size = len(piece.ids)
        cut = size if sentence_from is None else min(max(sentence_from - done, 0), size)
        for part in (slice(0, cut), slice(cut, size)):
            if part.start < part.stop:
                yield [sample.take(piece.part(part, r)) for r, sample in enumerate(samples)]
            if done + part.stop == sentence_from:
                for sample in samples:
                    sample.ending.at_sentence = True
        if all(sample.ending.ended for sample in samples):
            return
        done += size
    rest = [sample.take(piece.part(slice(0), r), last=True) for r, sample in enumerate(samples)]
    if any(written.text for written in rest):
        yield rest
