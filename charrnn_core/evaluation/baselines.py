"""Baselines that predict a text without a network: n-gram counts and a compressor.

A figure in nats means little on its own; these put it in context. They are fitted to the training
part only.
"""

import lzma
import math
from collections.abc import Callable, Sequence

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.row import Row
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet, Ids
from charrnn_core.text.kneser_ney import after_longest, followers
from charrnn_core.text.ngrams import ORDER, n_gram_levels
from charrnn_core.text.split import Piece, count_characters

MOST_CHARACTERS = 1 << 22
"""Longer texts get no baselines: sorting and compressing take about a second per million."""

_NUMBERS = 1 << 25
"""How many probabilities are kept at a time."""

_LEAST_FOR_XZ = 1000
"""Fewest characters to score with xz, whose sizes are multiples of four bytes."""

_BYTES_PER_PIECE = 1 << 16
_WORK_PER_LENGTH, _WORK_OF_ROWS = 0.2, 1.8
"""The time that n-grams take for a character, where a byte of xz takes 1."""


CheckInterrupt = Callable[[float], None]
"""Called before each piece of work with its size, in bytes of xz; may raise `Interrupted`."""


class Interrupted(Exception):
    """The caller no longer waits for the baselines."""


def _never(work: float) -> None:
    """Never interrupt."""


def baselines(
    training: Ids,
    pieces: Sequence[Piece],
    alphabet: Alphabet,
    *,
    check_interrupt: CheckInterrupt = _never,
    failed: Callable[[str, Exception], None] | None = None,
) -> tuple[Row, ...]:
    """Return the rows to compare a model with: unigram, n-gram, and xz of a longer text.

    The order of an n-gram is the number of characters it looks back.

    Arguments:
        training: the ids of the training text.
        pieces: the held-out text.
        alphabet: the symbols.
        check_interrupt: see `CheckInterrupt`.
        failed: called with the name of a baseline that failed, such as for lack of memory, and the
            exception; the others are still computed. Without it, the exception is raised.

    Raises:
        CorpusError: the text is too long to take only seconds, or a part of it is empty.

    >>> alphabet = Alphabet("ab")
    >>> ids = alphabet.encode("ab" * 40)
    >>> rows = baselines(ids[:60], [Piece(int(ids[59]), ids[60:])], alphabet)
    >>> [row.name for row in rows]
    ['unigram', 'n-gram, order 6']
    """
    held_out = count_characters(pieces)
    if not len(training) or not held_out:
        raise CorpusError(f"no baselines: {len(training)} characters to count, {held_out} to score")
    if len(training) + held_out > MOST_CHARACTERS:
        raise CorpusError(
            f"no baselines: this text has {len(training) + held_out:,} {alphabet.unit}s, more than "
            f"the limit of {MOST_CHARACTERS:,}"
        )

    def n_grams() -> list[Row]:
        text = training, pieces, len(alphabet)
        if len(alphabet) ** 2 > _NUMBERS:  # as many rows as symbols would take too much
            return [Row(name="unigram", nats_per_char=unigram_nats(*text))]
        counted = kneser_ney_nats(*text, check_interrupt=check_interrupt)
        return [
            Row(name="unigram", nats_per_char=unigram_nats(*text)),
            Row(name=f"n-gram, order {ORDER}", nats_per_char=counted),
        ]

    def xz() -> list[Row]:
        nats = xz_nats(training, pieces, alphabet, check_interrupt)
        return [Row(name="xz -9e", nats_per_char=nats)]

    rows: list[Row] = []
    for name, count in {"n-grams": n_grams, "xz": xz}.items():
        if name == "xz" and held_out < _LEAST_FOR_XZ:
            continue
        try:
            rows += count()
        except Interrupted:
            raise
        except Exception as error:
            if failed is None:
                raise
            failed(name, error)
    return tuple(rows)


def work_of(training: Ids, pieces: Sequence[Piece]) -> float:
    """Return about how much work `baselines` is, in the unit of `CheckInterrupt`."""
    held_out = count_characters(pieces)
    counting = _WORK_PER_LENGTH * ORDER + _WORK_OF_ROWS
    return counting * (len(training) + held_out) + 2 * len(training) + held_out


def unigram_nats(training: Ids, pieces: Sequence[Piece], symbols: int) -> float:
    """Return the nats per character of ``P(x) = (n(x) + t / V) / (N + t)``.

    n counts in the training text of N characters, t of which differ.

    >>> round(unigram_nats(np.array([0, 1, 0, 1, 0]), [Piece(0, np.array([1]))], 2), 4)
    0.8473
    """
    n = np.bincount(training, minlength=symbols)
    kinds = np.count_nonzero(n)
    nats = -np.log((n + kinds / symbols) / (len(training) + kinds))
    return float(np.concatenate([nats[ids] for _, ids in pieces]).mean())


def kneser_ney_nats(
    training: Ids,
    pieces: Sequence[Piece],
    symbols: int,
    order: int = ORDER,
    check_interrupt: CheckInterrupt = _never,
) -> float:
    """Return the nats per character of Kneser-Ney n-grams; see `charrnn_core.text.kneser_ney`.

    Arguments:
        training: the training text, N ids.
        pieces: the text to predict; a context reaches back to the one character before its piece.
        symbols: V.
        order: the most characters to look back.
        check_interrupt: see `CheckInterrupt`.

    >>> text = np.array([0, 1, 1] * 9)
    >>> kneser_ney_nats(text, [Piece(1, text)], symbols=2) < 0.2
    True
    """
    order = min(order, len(training) - 1)
    if not order:
        return unigram_nats(training, pieces, symbols)
    texts = [training, *(np.concatenate([[before], ids]) for before, ids in pieces)]
    x = np.concatenate(texts).astype(np.int64)
    strings, levels = [x], n_gram_levels(texts, symbols, order)
    for length in range(1, order + 1):
        check_interrupt(_WORK_PER_LENGTH * len(x))
        at = next(levels).at
        if length > 1:  # a single symbol has its own number
            strings.append(at.astype(np.int64))
    check_interrupt(_WORK_OF_ROWS * len(x))
    # Before that the longest strings do not fit.
    counted = slice(order - 1, len(training) - 1)
    of_training = [numbers[counted] for numbers in strings]
    found = followers(of_training, x[order : len(training)], symbols, _NUMBERS // symbols)
    predicted = np.concatenate([np.arange(len(text)) > 0 for text in texts])
    predicted[: len(training)] = False
    (places,) = np.nonzero(predicted)
    total = 0.0
    for some in np.array_split(places, -(-len(places) * symbols // _NUMBERS)):
        check_interrupt(0.0)
        p = after_longest(found, strings, some - 1)[np.arange(len(some)), x[some]]
        total -= np.log(p.astype(np.float64)).sum()
    return float(total / len(places))


def xz_nats(
    training: Ids,
    pieces: Sequence[Piece],
    alphabet: Alphabet,
    check_interrupt: CheckInterrupt = _never,
) -> float:
    """Return the nats per character that the held-out text adds to ``xz -9e`` of the training."""
    first = _bytes(training, alphabet)
    more = b"".join(_bytes(ids, alphabet) for _, ids in pieces)
    bits = xz_bits(first + more, check_interrupt) - xz_bits(first, check_interrupt)
    return bits * math.log(2) / count_characters(pieces)


def xz_bits(data: bytes, check_interrupt: CheckInterrupt = _never) -> int:
    """Return the size in bits of ``xz -9e`` of some bytes; see `CheckInterrupt`."""
    xz, size = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME), 0
    for start in range(0, len(data), _BYTES_PER_PIECE):
        piece = data[start : start + _BYTES_PER_PIECE]
        check_interrupt(len(piece))
        size += len(xz.compress(piece))
    return 8 * (size + len(xz.flush()))


def _bytes(ids: Ids, alphabet: Alphabet) -> bytes:
    if isinstance(alphabet, ByteAlphabet):
        return ids.astype(np.uint8).tobytes()
    return alphabet.decode(ids).encode("utf-8", "surrogatepass")
