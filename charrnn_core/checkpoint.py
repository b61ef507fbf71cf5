"""Checkpoint files: a table and arrays in one self-contained, checked file. Imports no jax.

Layout, all numbers little-endian: the magic ``CRNN``, a format version (u16), the length of the
header (u32), the header (msgpack: the table, and path, dtype, shape, offset and size of every
array), the arrays one after the other, and the SHA-256 of everything before it. The reader
verifies the digest before it believes anything; nothing in the file is imported or executed.
docs/durability.md describes the format; tests/data holds a file of every version.
"""

import hashlib
import math
import reprlib
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CheckpointError
from charrnn_core.storage import DISK, Disk, explained, write_atomically

FORMAT = 1
_MAGIC = b"CRNN"
_PREFIX = struct.Struct("<4sHI")
_DIGEST_BYTES = 32
_MOST_DIMENSIONS = 32
_DTYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
}  # fmt: skip

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Arguments:
        table: plain data: configuration, alphabet, plugins, corpus, metrics.
        arrays: arrays by path, such as ``"params/cell/W/kernel"``.
    """

    table: Mapping[str, Any]
    arrays: Arrays


def save_checkpoint(
    path: Path, table: Mapping[str, Any], arrays: Arrays, disk: Disk = DISK
) -> None:
    """Write a table of plain data and arrays by path to one file, atomically.

    Raises:
        StorageError: the file cannot be written.
        CheckpointError: an array has a dtype that the format lacks, or the table is too long or
            not plain.
    """
    index, offset = [], 0
    for name, array in arrays.items():
        if str(array.dtype) not in _DTYPES:
            raise CheckpointError(
                f"cannot save {name}: its dtype is {array.dtype}; expected one of "
                f"{', '.join(sorted(_DTYPES))}"
            )
        place = {"path": name, "dtype": str(array.dtype), "shape": list(array.shape)}
        index.append({**place, "offset": offset, "nbytes": array.nbytes})
        offset += array.nbytes
    try:
        header = msgpack.packb({"table": dict(table), "arrays": index})
        assert isinstance(header, bytes)
        # Not all that can be written can be read again: a table with a number as a key cannot.
        if msgpack.packb(_unpack(memoryview(header))) != header:
            raise ValueError("it is another when it is read again")
    except (TypeError, ValueError, OverflowError, msgpack.UnpackException) as error:
        raise CheckpointError(f"cannot save {path}: its table is not plain: {error}") from error
    if len(header) > _longest_header(offset):
        raise CheckpointError(
            f"cannot save {path}: its table takes {len(header)} bytes; expected at most "
            f"{_longest_header(offset)} beside {offset} bytes of arrays"
        )
    write_atomically(path, _digested(header, arrays), disk)


def _digested(header: bytes, arrays: Arrays) -> Iterator[bytes | memoryview]:
    """The pieces of the file; the last one is the digest of all before it."""
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes | memoryview]:
        yield _PREFIX.pack(_MAGIC, FORMAT, len(header)) + header
        for array in arrays.values():
            # A view of bytes: bfloat16 is no type that Python's buffers know.
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data

    for piece in pieces():
        digest.update(piece)
        yield piece
    yield digest.digest()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and verify it.

    The arrays are read-only views of the bytes read, so memory is that of the file.

    Raises:
        CheckpointError: the file is damaged, foreign or from a newer charrnn.
        StorageError: it cannot be read.
    """
    with explained("read", path):
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise CheckpointError(f"{path} is not a charrnn checkpoint: it is no regular file")
        with open(path, "rb", buffering=0) as file:
            # Before the rest is read: a foreign file may be of any size.
            _read_prefix(file.read(_PREFIX.size), path)
            file.seek(0)
            data = memoryview(file.readall())
    body = data[:-_DIGEST_BYTES]
    if len(body) < _PREFIX.size or hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
        raise CheckpointError(
            f"{path} is damaged: its digest does not match; use another checkpoint"
        )
    try:
        header_length = _read_prefix(bytes(body[: _PREFIX.size]), path)
        first = _PREFIX.size + header_length
        if header_length > _longest_header(max(0, len(body) - first)) or first > len(body):
            raise ValueError(f"a header of {header_length} bytes in a file of {len(data)}")
        header = _unpack(body[_PREFIX.size : first])
        if not isinstance(header["table"], dict):
            raise ValueError("no table")
        return Checkpoint(header["table"], _arrays(header["arrays"], body[first:]))
    except (
        ValueError, KeyError, TypeError, OverflowError, RecursionError, msgpack.UnpackException
    ) as error:  # fmt: skip
        raise CheckpointError(f"{path} is not a valid checkpoint: {error}") from error


def _read_prefix(prefix: bytes, path: Path) -> int:
    """The length of the header, after magic and version have been checked."""
    if len(prefix) < _PREFIX.size or prefix[:4] != _MAGIC:
        raise CheckpointError(f"{path} is not a charrnn checkpoint")
    _, version, header_length = _PREFIX.unpack(prefix)
    if version > FORMAT:
        raise CheckpointError(
            f"{path} has format {version}; this charrnn reads up to {FORMAT}: upgrade charrnn"
        )
    if version < 1:
        raise CheckpointError(f"{path} is damaged: there is no format {version}")
    return header_length


def _longest_header(array_bytes: int) -> int:
    """How many bytes a header may have; unpacked, a byte can take 72 (an empty table does)."""
    return 2**19 + array_bytes // 128


def _unpack(header: memoryview) -> Any:
    """What a header holds. Lengths are checked first: room is made for them before they are read.

    Raises:
        ValueError, msgpack.UnpackException: it is not msgpack, or too deep.
    """
    scanner = msgpack.Unpacker(max_buffer_size=len(header))
    scanner.feed(header)
    scanner.skip()
    return msgpack.unpackb(header)


def _arrays(index: Any, data: memoryview) -> dict[str, npt.NDArray[Any]]:
    """The arrays, after dtypes, shapes and places have been checked: no gap, no overlap."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    end = 0
    for item in index:
        path, shape = item["path"], item["shape"]
        shown = reprlib.repr(path)
        if not isinstance(path, str) or path in arrays:
            raise ValueError(f"the path {shown} is no text, or there twice")
        if item["dtype"] not in _DTYPES:
            raise ValueError(f"{shown}: dtype {reprlib.repr(item['dtype'])}")
        dtype = _dtype(item["dtype"])
        if not _is_shape(shape):
            raise ValueError(f"{shown}: shape {reprlib.repr(shape)}")
        start, size = end, math.prod(shape) * dtype.itemsize
        if item["offset"] != start or item["nbytes"] != size or start + size > len(data):
            raise ValueError(f"{shown}: its bytes are not where they should be")
        end = start + size
        arrays[path] = np.frombuffer(data[start:end], dtype).reshape(shape)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes that belong to no array")
    return arrays


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        return False
    return all(type(length) is int and length >= 0 for length in shape)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes  # it teaches NumPy that name

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
