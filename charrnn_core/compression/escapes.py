"""Any bytes as symbols of an alphabet, and aside what the alphabet lacks."""

import lzma
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CompressionError
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet, Ids

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
    >>> some.ids.tolist(), join(some, Alphabet(" ho"))
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


def join(parts: Split, alphabet: Alphabet) -> bytes:
    """Return the bytes that were split.

    Raises:
        CompressionError: no bytes can have been split so.
    """
    if isinstance(alphabet, ByteAlphabet):
        return parts.ids.astype(np.uint8).tobytes()
    points = _points(alphabet.symbols)[parts.ids]
    if parts.rest:
        try:
            points = _with_rest(points, parts.rest)
        except (lzma.LZMAError, ValueError, IndexError, MemoryError) as error:
            raise CompressionError(f"what the alphabet lacks cannot be read: {error}") from error
    return _text(points).encode("utf-8", "surrogateescape")


def _with_rest(points: npt.NDArray[np.uint32], rest: bytes) -> npt.NDArray[np.uint32]:
    planes = lzma.decompress(rest, lzma.FORMAT_RAW, filters=_FILTERS)
    numbers = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<u4").reshape(-1)
    count = int(numbers[0])
    gaps, lengths, symbols = np.split(numbers[1:].astype(np.int64), [count, 2 * count])
    return np.insert(points, np.repeat(np.cumsum(gaps), lengths), symbols)


def _points(text: str) -> npt.NDArray[Any]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(points: npt.NDArray[Any]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
