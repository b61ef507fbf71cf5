"""What predicts a text without a network: counted n-grams, and a compressor.

A number of nats says little by itself; these stand beside it. They learn from the training part
alone.
"""

import lzma
import math
import threading
from collections.abc import Callable, Sequence

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.report import Row
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet, Ids
from charrnn_core.text.split import Piece, count_characters

MOST_CHARACTERS = 1 << 22
"""Longer texts are not counted: sorting and compressing take about a second for each million."""

_MOST_ORDER = 6

_LEAST_FOR_XZ = 1000
"""Characters to score; xz's sizes are multiples of four bytes."""

_BYTES_AT_ONCE = 1 << 16
_SECONDS_BETWEEN_LOOKS = 0.1


Look = Callable[[], None]
"""Called before each piece of work; what it raises ends the work."""


class _Interrupted(Exception):
    """Nobody waits for the count any more."""


def _go_on() -> None:
    """Look whether to go on: yes."""


def baselines(
    training: Ids,
    pieces: Sequence[Piece],
    alphabet: Alphabet,
    *,
    look: Look = _go_on,
    failed: Callable[[str, Exception], None] | None = None,
) -> tuple[Row, ...]:
    """The rows that stand beside a model's: unigram, the best n-gram, and xz of a longer text.

    The n-gram is the one of orders 1 to 6, an order being the number of characters it looks back,
    that predicts the held-out text best; so it is a little better than one that could be known
    beforehand.

    Arguments:
        training: what is learnt from, in ids.
        pieces: the held-out text.
        alphabet: the symbols.
        look: see `Look`.
        failed: told what could not be counted and why, such as a lack of memory; the rest is
            counted. Without it, that is raised.

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

    def n_grams() -> list[Row]:
        unigram, *higher = witten_bell(training, pieces, len(alphabet), look=look)
        order = int(np.argmin(higher))
        return [
            Row(name="unigram", nats_per_char=unigram),
            Row(name=f"n-gram, order {order + 1}", nats_per_char=higher[order]),
        ]

    def xz() -> list[Row]:
        return [Row(name="xz -9e", nats_per_char=xz_nats(training, pieces, alphabet, look))]

    rows: list[Row] = []
    for name, count in {"n-grams": n_grams, "xz": xz}.items():
        if name == "xz" and held_out < _LEAST_FOR_XZ:
            continue
        try:
            rows += count()
        except _Interrupted:
            raise
        except Exception as error:
            if failed is None:
                raise
            failed(name, error)
    return tuple(rows)


def begin_baselines(
    training: Ids, pieces: Sequence[Piece], alphabet: Alphabet
) -> Callable[..., tuple[tuple[Row, ...], tuple[str, ...]]]:
    """Begin to count in the background; the function that is given waits for rows and remarks.

    Its argument `give_up` is asked a few times a second: when it says True, nothing more is
    counted. What goes wrong costs the rows that it was about, and a remark says why; where
    `baselines` raises, there are none. The thread keeps no process from ending.

    >>> rows, remarks = begin_baselines(np.zeros(0, int), [], Alphabet("ab"))()
    >>> rows, remarks
    ((), ('no baselines: 0 characters to count, 0 to score',))
    """
    rows: list[Row] = []
    remarks: list[str] = []
    stop, done = threading.Event(), threading.Event()

    def look() -> None:
        if stop.is_set():
            raise _Interrupted

    def failed(what: str, error: Exception) -> None:
        remarks.append(f"no {what}: counting failed with {_shown(error)}")

    def work() -> None:
        try:
            rows.extend(baselines(training, pieces, alphabet, look=look, failed=failed))
        except _Interrupted:
            pass  # whoever gives up wants no more rows, and no remark
        except CorpusError as error:
            remarks.append(str(error))
        except Exception as error:
            failed("baselines", error)
        finally:
            done.set()

    def wait(
        give_up: Callable[[], bool] = lambda: False,
    ) -> tuple[tuple[Row, ...], tuple[str, ...]]:
        while not done.wait(_SECONDS_BETWEEN_LOOKS):
            if give_up():
                stop.set()
                return (), ("no baselines: counting was interrupted",)
        return tuple(rows), tuple(remarks)

    try:
        # Not one of a pool: Python waits for those before it ends.
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError as error:  # the system has no thread left
        failed("baselines", error)
        done.set()
    return wait


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def witten_bell(
    training: Ids,
    pieces: Sequence[Piece],
    symbols: int,
    most: int = _MOST_ORDER,
    look: Look = _go_on,
) -> list[float]:
    """Nats per character of interpolated n-grams of the orders 0 to `most`.

    ``P_k(x|c) = (n(c,x) + t(c) P_{k-1}(x|c')) / (n(c) + t(c))`` and ``P_{-1} = 1/V``, where c are
    the k characters before x, c' the k - 1 before it, n counts in the training text and t(c) is how
    many different characters follow c there. What no count is known for is left to the lower order.

    Arguments:
        training: the training text, N ids.
        pieces: the text that is predicted; contexts do not reach beyond the one character before.
        symbols: V.
        look: see `Look`.

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
        look()
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


def xz_nats(
    training: Ids,
    pieces: Sequence[Piece],
    alphabet: Alphabet,
    look: Look = _go_on,
) -> float:
    """Nats per character that the held-out text adds to the training text in ``xz -9e``."""
    first = _bytes(training, alphabet)
    more = b"".join(_bytes(ids, alphabet) for _, ids in pieces)
    bits = xz_bits(first + more, look) - xz_bits(first, look)
    return bits * math.log(2) / count_characters(pieces)


def xz_bits(data: bytes, look: Look = _go_on) -> int:
    """The size in bits of what ``xz -9e`` makes of some bytes; for `look` see `Look`."""
    xz, size = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME), 0
    for start in range(0, len(data), _BYTES_AT_ONCE):
        look()
        size += len(xz.compress(data[start : start + _BYTES_AT_ONCE]))
    return 8 * (size + len(xz.flush()))


def _bytes(ids: Ids, alphabet: Alphabet) -> bytes:
    if isinstance(alphabet, ByteAlphabet):
        return ids.astype(np.uint8).tobytes()
    return alphabet.decode(ids).encode("utf-8", "surrogatepass")
