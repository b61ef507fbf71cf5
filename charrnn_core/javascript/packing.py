"""Arrays as text that a browser unpacks: deflated, in base64."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

_ALIGNED = 8
"""Each array begins at a multiple of so many bytes, as typed arrays demand."""

_MOST_OF_FLOAT16 = 65504.0


def pack(arrays: Sequence[Numbers]) -> dict[str, Any]:
    """Return arrays as plain data; ``unpack`` in ``runtime/arrays.js`` is the inverse.

    Arguments:
        arrays: of numbers; float16 becomes float32 when it is unpacked.

    >>> pack([np.zeros(3, np.float32), np.ones(2, np.uint8)])["arrays"]
    [['float32', 3], ['uint8', 2]]
    """
    data = b"".join(_padded(np.ascontiguousarray(array)) for array in arrays)
    deflated = zlib.compress(data, 9)
    return {
        "arrays": [[array.dtype.name, array.size] for array in arrays],
        "base64": base64.b64encode(deflated).decode(),
    }


def _padded(array: Numbers) -> bytes:
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return data + bytes(-len(data) % _ALIGNED)


def halved(array: Numbers) -> Numbers:
    """Return float32 numbers as float16; others, and those out of its range, as they are.

    >>> halved(np.array([0.1, 2], np.float32)).dtype, halved(np.array([1e9], np.float32)).dtype
    (dtype('float16'), dtype('float32'))
    """
    if array.dtype != np.float32:
        return array
    finite = np.abs(array[np.isfinite(array)])
    return array if finite.max(initial=0) > _MOST_OF_FLOAT16 else array.astype(np.float16)
