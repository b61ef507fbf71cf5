"""What predicts a text without a network: counted n-grams, and a compressor.

A number of nats says little by itself; these stand beside it. They learn from the training part
alone.
"""

import lzma
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from charrnn_core.alphabet import Alphabet, ByteAlphabet, Ids
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation import Row
from charrnn_core.split import Piece, count_characters

MOST_CHARACTERS = 1 << 22
"""Longer texts are not counted: sorting and compressing take about a second for each million."""

_MOST_ORDER = 6

_LEAST_FOR_XZ = 1000
"""Characters to score; xz's sizes are multiples of four bytes."""


def baselines(training: Ids, pieces: Sequence[Piece], alphabet: Alphabet) -> tuple[Row, ...]:
    """The rows that stand beside a model's: unigram, the best n-gram, and xz of a longer text.

    The n-gram is the one of orders 1 to 6, an order being the number of characters it looks back,
    that predicts the held-out text best; so it is a little better than one that could be known
    beforehand.

    Arguments:
        training: what is learnt from, in ids.
        pieces: the held-out text.
        alphabet: the symbols.

    Raises:
        CorpusError: the text is too long for that to take seconds, or a part of it is empty.

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
            f"no baselines: they are counted in up to {MOST_CHARACTERS:,} {alphabet.unit}s, and "
            f"this text has {len(training) + held_out:,}"
        )
    unigram, *higher = witten_bell(training, pieces, len(alphabet))
    order = int(np.argmin(higher))
    rows = [
        Row(name="unigram", nats_per_char=unigram),
        Row(name=f"n-gram, order {order + 1}", nats_per_char=higher[order]),
    ]
    if held_out >= _LEAST_FOR_XZ:
        rows.append(Row(name="xz -9e", nats_per_char=xz_nats(training, pieces, alphabet)))
    return tuple(rows)


def begin_baselines(
    training: Ids, pieces: Sequence[Piece], alphabet: Alphabet
) -> Callable[[], tuple[tuple[Row, ...], tuple[str, ...]]]:
    """Begin to count in the background; the function that is given waits for rows and remarks.

    There are no rows, but a remark that says why, where `baselines` raises.

    >>> rows, remarks = begin_baselines(np.zeros(0, int), [], Alphabet("ab"))()
    >>> rows, remarks
    ((), ('no baselines: 0 characters to count, 0 to score',))
    """
    pool = ThreadPoolExecutor(1)
    counted = pool.submit(baselines, training, pieces, alphabet)
    pool.shutdown(wait=False)

    def wait() -> tuple[tuple[Row, ...], tuple[str, ...]]:
        try:
            return counted.result(), ()
        except CorpusError as error:
            return (), (str(error),)

    return wait


def witten_bell(
    training: Ids, pieces: Sequence[Piece], symbols: int, most: int = _MOST_ORDER
) -> list[float]:
    """Nats per character of interpolated n-grams of the orders 0 to `most`.

    ``P_k(x|c) = (n(c,x) + t(c) P_{k-1}(x|c')) / (n(c) + t(c))`` and ``P_{-1} = 1/V``, where c are
    the k characters before x, c' the k - 1 before it, n counts in the training text and t(c) is how
    many different characters follow c there. What no count is known for is left to the lower order.

    Arguments:
        training: the training text, N ids.
        pieces: the text that is predicted; contexts do not reach beyond the one character before.
        symbols: V.

    Source: Witten and Bell, The zero-frequency problem, 1991, method C, in the interpolated form of
    Chen and Goodman 1998.

    >>> ids = np.array([0, 1, 0, 1, 0])
    >>> [round(nats, 4) for nats in witten_bell(ids, [Piece(0, np.array([1]))], 2, most=1)]
    [0.8473, 0.2113]
    """
    # Marks that are no symbols begin the texts, so that no context crosses from one to another.
    texts = [[symbols], training]
    for before, ids in pieces:
        texts += [[symbols + 1, before], ids]
    x = np.concatenate([np.asarray(text, np.int64) for text in texts])
    learnt = np.s_[1 : len(training) + 1]
    lengths = np.cumsum([len(text) for text in texts])
    scored = np.concatenate(
        [np.arange(*ends) for ends in zip(lengths[2::2], lengths[3::2], strict=True)]
    )
    p = np.full(len(scored), 1 / symbols)
    context, nats = np.zeros(len(x), np.int64), []
    for _ in range(most + 1):
        # The number of (context, x) among all that occur: no hashing, so nothing collides.
        grams, number = np.unique(context * (symbols + 2) + x, return_inverse=True)
        count = np.bincount(number[learnt], minlength=len(grams))
        parent, contexts = grams // (symbols + 2), int(context.max()) + 1
        total = np.bincount(parent, count, contexts)
        kinds = np.bincount(parent[count > 0], minlength=contexts)
        here, known = context[scored], total[context[scored]] > 0
        share = np.maximum(total[here] + kinds[here], 1)
        p = np.where(known, (count[number[scored]] + kinds[here] * p) / share, p)
        nats.append(float(-np.log(p).mean()))
        context = np.roll(number, 1)  # the gram that ends before x; at the very start a mark is x
    return nats


def xz_nats(training: Ids, pieces: Sequence[Piece], alphabet: Alphabet) -> float:
    """Nats per character that the held-out text adds to the training text in ``xz -9e``."""
    first = _bytes(training, alphabet)
    more = b"".join(_bytes(ids, alphabet) for _, ids in pieces)
    bits = xz_bits(first + more) - xz_bits(first)
    return bits * math.log(2) / count_characters(pieces)


def xz_bits(data: bytes) -> int:
    """The size in bits of what ``xz -9e`` makes of some bytes."""
    return 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def _bytes(ids: Ids, alphabet: Alphabet) -> bytes:
    if isinstance(alphabet, ByteAlphabet):
        return ids.astype(np.uint8).tobytes()
    return alphabet.decode(ids).encode("utf-8", "surrogatepass")
