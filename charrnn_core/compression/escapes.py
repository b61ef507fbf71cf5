"""Any bytes as symbols of an alphabet, and aside what the alphabet lacks."""

import lzma
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CompressionError
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet, Ids

_BYTES_OF_A_CHARACTER = 12
"""The most that `split` makes of a character that an alphabet lacks, before it is compressed."""

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


class Split(NamedTuple):
    """A text as a model reads it.

    Fields:
        ids: those of the characters that the alphabet has.
        rest: the others and their places, compressed; empty if there are none.
    """

    ids: Ids
    rest: bytes


def split(data: bytes, alphabet: Alphabet) -> Split:
    """Return the ids of all that the alphabet has; `join` is the inverse.

    What is not UTF-8 counts as characters that the alphabet lacks.

    >>> some = split(b"ho? \\xff ho", Alphabet(" ho"))
    >>> some.ids.tolist(), join(some, Alphabet(" ho"), 9)
    ([1, 2, 0, 0, 1, 2], b'ho? \\xff ho')
    """
    if isinstance(alphabet, ByteAlphabet):
        return Split(np.frombuffer(data, np.uint8), b"")
    text = data.decode("utf-8", "surrogateescape")
    ids = alphabet.encode(text, "skip", alphabet.dtype)
    if len(ids) == len(text):
        return Split(ids, b"")
    points = _points(text)
    lacking = ~np.isin(points, _points(alphabet.symbols))
    edges = np.flatnonzero(np.diff(lacking, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    gaps = begins - np.concatenate([[0], ends[:-1]])
    numbers = np.concatenate([[len(gaps)], gaps, ends - begins, points[lacking]]).astype("<u4")
    # All low bytes side by side, then all second ones: so zeros stand together.
    planes = numbers.view(np.uint8).reshape(-1, 4).T.tobytes()
    return Split(ids, lzma.compress(planes, lzma.FORMAT_RAW, filters=_FILTERS))


def join(parts: Split, alphabet: Alphabet, length: int) -> bytes:
    """Return the bytes that were split.

    Arguments:
        length: how many there were.

    Raises:
        CompressionError: no bytes can have been split so.
    """
    if isinstance(alphabet, ByteAlphabet):
        return parts.ids.astype(np.uint8).tobytes()
    points = _points(alphabet.symbols)[parts.ids]
    try:
        if parts.rest:
            points = _with_rest(points, parts.rest, length)
        return _text(points).encode("utf-8", "surrogateescape")
    except (lzma.LZMAError, EOFError, ValueError, IndexError) as error:
        raise CompressionError(
            "what the alphabet lacks cannot be read; expected a file as charrnn wrote it"
        ) from error


def _with_rest(points: npt.NDArray[np.uint32], rest: bytes, length: int) -> npt.NDArray[np.uint32]:
    unpack = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    planes = unpack.decompress(rest, _BYTES_OF_A_CHARACTER * length + 4)
    numbers = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<u4").reshape(-1)
    count = int(numbers[0])
    gaps, lengths, symbols = np.split(numbers[1:].astype(np.int64), [count, 2 * count])
    if lengths.sum() != len(symbols):
        raise ValueError("there are more or fewer characters than places")
    return np.insert(points, np.repeat(np.cumsum(gaps), lengths), symbols)


def _points(text: str) -> npt.NDArray[Any]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(points: npt.NDArray[Any]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
