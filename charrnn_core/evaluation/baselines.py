"""Baselines that predict a text without a network: n-gram counts and a compressor.

A figure in nats means little on its own; these put it in context. They are fitted to the training
part only.
"""

import lzma
import math
from collections.abc import Callable, Sequence

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.report import Row
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet, Ids
from charrnn_core.text.ngrams import n_gram_levels
from charrnn_core.text.split import Piece, count_characters

MOST_CHARACTERS = 1 << 22
"""Longer texts get no baselines: sorting and compressing take about a second per million."""

_MOST_ORDER = 6

_LEAST_FOR_XZ = 1000
"""Fewest characters to score with xz, whose sizes are multiples of four bytes."""

_BYTES_PER_PIECE = 1 << 16
_WORK_PER_GRAM = 0.1
"""The time that a character of an order of n-grams takes, where a byte of xz takes 1."""


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
    """Return the rows to compare a model with: unigram, the best n-gram, and xz of a longer text.

    The order of an n-gram is the number of characters it looks back. Of the orders 1 to 6 the one
    that predicts the held-out text best is shown, so it is slightly better than an order chosen
    beforehand.

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
        unigram, *higher = witten_bell(
            training, pieces, len(alphabet), check_interrupt=check_interrupt
        )
        order = int(np.argmin(higher))
        return [
            Row(name="unigram", nats_per_char=unigram),
            Row(name=f"n-gram, order {order + 1}", nats_per_char=higher[order]),
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
    orders = _WORK_PER_GRAM * (_MOST_ORDER + 1) * (len(training) + held_out)
    return orders + 2 * len(training) + held_out


def witten_bell(
    training: Ids,
    pieces: Sequence[Piece],
    symbols: int,
    most: int = _MOST_ORDER,
    check_interrupt: CheckInterrupt = _never,
) -> list[float]:
    """Return the nats per character of interpolated n-grams of the orders 0 to `most`.

    ``P_k(x|c) = (n(c,x) + t(c) P_{k-1}(x|c')) / (n(c) + t(c))`` and ``P_{-1} = 1/V``, where c are
    the k characters before x, c' the k - 1 before it, n counts in the training text and t(c) is how
    many different characters follow c there. Contexts that do not occur there use the lower order.

    Arguments:
        training: the training text, N ids.
        pieces: the text to predict; a context reaches back to the one character before its piece.
        symbols: V.
        check_interrupt: see `CheckInterrupt`.

    Source: Witten and Bell, The zero-frequency problem, 1991, method C, in the interpolated form of
    Chen and Goodman 1998.

    >>> ids = np.array([0, 1, 0, 1, 0])
    >>> [round(nats, 4) for nats in witten_bell(ids, [Piece(0, np.array([1]))], 2, most=1)]
    [0.8473, 0.2113]
    """
    texts = [training, *(np.concatenate([[before], ids]) for before, ids in pieces)]
    scored = np.concatenate([np.arange(len(text)) > 0 for text in texts])
    scored[: len(training)] = False
    p, nats = np.full(np.count_nonzero(scored), 1 / symbols), []
    levels = n_gram_levels(texts, symbols, most + 1)
    for _ in range(most + 1):
        check_interrupt(_WORK_PER_GRAM * len(scored))
        parents, _, _, at = next(levels)
        trained, here = at[: len(training)], at[scored]
        count = np.bincount(trained[trained >= 0], minlength=len(parents))  # n(c,x)
        total = np.bincount(parents, count)  # n(c)
        kinds = np.bincount(parents[count > 0], minlength=len(total))  # t(c)
        fits = here >= 0  # where this much of a text comes before
        here = here[fits]
        context = parents[here]
        share = np.maximum(total[context] + kinds[context], 1)
        known = (count[here] + kinds[context] * p[fits]) / share
        p[fits] = np.where(total[context] > 0, known, p[fits])
        nats.append(float(-np.log(p).mean()))
    return nats


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
