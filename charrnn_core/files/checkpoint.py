"""Checkpoint files: a table and arrays in one self-contained, checked file. Imports no jax.

Layout, all numbers little-endian: the magic ``CRNN``, a format version (u16), the length of the
header (u32), the header (msgpack: the table, and path, dtype, shape, offset and size of every
array), the arrays back to back, and the SHA-256 of everything before it. The reader compares the
file's length with the header's and verifies the digest before it returns anything; nothing in the
file is imported or executed. docs/durability.md describes the format; tests/data holds a file of
every version.
"""

import hashlib
import math
import os
import reprlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
import numpy.typing as npt

from charrnn_core.devices import memory_bytes
from charrnn_core.errors import CheckpointError
from charrnn_core.files.atomic import DISK, Disk, explained, write_atomically
from charrnn_core.files.regular import own

FORMAT = 1
_MAGIC = b"CRNN"
_PREFIX = struct.Struct("<4sHI")
_DIGEST_BYTES = 32
_LONGEST_HEADER = 2**26
_MOST_DIMENSIONS = 32
_DTYPES = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "float16 bfloat16 float32 float64 complex64 complex128".split()
)
_INVALID = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading a header raises if it is not valid, besides the errors of msgpack."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file.

    Arguments:
        table: plain data: configuration, alphabet, plugins, corpus, metrics.
        arrays: arrays by path, such as ``"params/cell/W/kernel"``.
    """

    table: Mapping[str, Any]
    arrays: Arrays


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself.

    Arguments:
        table: as in `Checkpoint`.
        sizes: how many numbers each array has, by its path.
    """

    table: Mapping[str, Any]
    sizes: Mapping[str, int]


def save_checkpoint(
    path: Path, table: Mapping[str, Any], arrays: Arrays, disk: Disk = DISK
) -> None:
    """Write a table of plain data and arrays by path to one file, atomically.

    Raises:
        StorageError: the file cannot be written.
        CheckpointError: an array has a dtype that the format lacks, or the table is too long or
            not plain data.
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
        # msgpack writes some data that it cannot read, such as a table with a number as a key.
        if msgpack.packb(_unpack(memoryview(header))) != header:
            raise ValueError("it changes when it is read back")
    except (TypeError, ValueError, OverflowError, msgpack.UnpackException) as error:
        raise CheckpointError(
            f"cannot save {path}: its table is not plain data: {error}"
        ) from error
    if len(header) > longest_header(offset):
        raise CheckpointError(
            f"cannot save {path}: its table takes {len(header)} bytes; expected at most "
            f"{longest_header(offset)} beside {offset} bytes of arrays"
        )
    write_atomically(path, _digested(header, arrays), disk)


def _digested(header: bytes, arrays: Arrays) -> Iterator[bytes | memoryview]:
    """Yield the pieces of the file; the last one is the digest of all before it."""
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes | memoryview]:
        yield _PREFIX.pack(_MAGIC, FORMAT, len(header)) + header
        for array in arrays.values():
            # As bytes, because Python's buffers do not support bfloat16.
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data

    for piece in pieces():
        digest.update(piece)
        yield piece
    yield digest.digest()


def load_checkpoint(path: Path, opener: Callable[[str, int], int] = own) -> Checkpoint:
    """Read a checkpoint and verify it.

    The header says how long the file must be, which is checked before the arrays are read. The
    arrays are read-only views of the bytes read, so they take as much memory as the file.

    Arguments:
        path: the file.
        opener: from `charrnn_core.files.regular`: `own` for a file of a run, `named` for a file
            that a user names, which may be a link.

    Raises:
        CheckpointError: the file is damaged, foreign, too large or from a newer charrnn.
        StorageError: it cannot be read, or is not a regular file.
    """
    with explained("read", path), open(path, "rb", opener=opener) as file:
        beginning, table, index, rest = _read_beginning(file, path)
        data = _read_arrays(file, rest, path)
        digest = file.read(_DIGEST_BYTES + 1)
    sha256 = hashlib.sha256(beginning)
    sha256.update(data)
    if digest != sha256.digest():
        raise _damaged(path, "its digest does not match")
    return Checkpoint(
        table,
        {
            place.path: np.frombuffer(data[place.bytes], place.dtype).reshape(place.shape)
            for place in index
        },
    )


def read_header(path: Path) -> Header:
    """Read the header of a checkpoint of a run, without its arrays.

    That is quick, and does for a list: the digest is not verified, so damage may go unnoticed.

    Raises:
        CheckpointError, StorageError: as for `load_checkpoint`.
    """
    with explained("read", path), open(path, "rb", opener=own) as file:
        _, table, index, _ = _read_beginning(file, path)
    return Header(table, {place.path: math.prod(place.shape) for place in index})


def _read_beginning(
    file: BinaryIO, path: Path
) -> tuple[bytes, dict[str, Any], list["_Place"], int]:
    """Return the bytes before the arrays, the table and places in them, and the arrays' length."""
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(_PREFIX.size)
    length = _read_prefix(prefix, path)
    rest = size - _PREFIX.size - length - _DIGEST_BYTES
    # Whatever the header claims, never allocate more than the file holds.
    if rest < 0 or length > longest_header(rest):
        raise _damaged(path, f"a header of {length} bytes in a file of {size}")
    header = file.read(length)
    return prefix + header, *_read_header(header, rest, path), rest


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {why}; use another checkpoint")


def _read_arrays(file: BinaryIO, length: int, path: Path) -> memoryview:
    """Read the bytes of all arrays: the rest of the file up to the digest."""
    available = memory_bytes()
    try:
        if length > available:
            raise MemoryError
        data = bytearray(length)
    except MemoryError as error:
        raise CheckpointError(
            f"{path} has {length / 2**30:,.1f} GiB of arrays, but this machine has only "
            f"{available / 2**30:,.1f} GiB of memory; use a machine with more"
        ) from error
    if file.readinto(data) != length:  # type: ignore[attr-defined]
        raise _damaged(path, "it ends early")
    return memoryview(data).toreadonly()


def _read_prefix(prefix: bytes, path: Path) -> int:
    """Check magic and version; return the length of the header."""
    if len(prefix) < _PREFIX.size or prefix[:4] != _MAGIC:
        raise CheckpointError(f"{path} is not a charrnn checkpoint")
    _, version, header_length = _PREFIX.unpack(prefix)
    if version > FORMAT:
        raise CheckpointError(
            f"{path} has format {version}; this charrnn reads up to {FORMAT}: upgrade charrnn"
        )
    if version < 1:
        raise CheckpointError(f"{path} is damaged: it has the unknown format {version}")
    return header_length


def longest_header(array_bytes: int) -> int:
    """Return the most bytes a header may have; unpacked, a byte can take 72 (an empty table)."""
    return min(2**19 + array_bytes // 128, _LONGEST_HEADER)


@dataclass(frozen=True)
class _Place:
    """An array's path, dtype and shape, and its place among the bytes of all arrays."""

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    bytes: slice


def _read_header(
    header: bytes, array_bytes: int, path: Path
) -> tuple[dict[str, Any], list[_Place]]:
    """Read the table and the places of the arrays, which must take `array_bytes` in all."""
    try:
        content = _unpack(header)
        if not isinstance(content["table"], dict):
            raise ValueError("the table is missing")
        return content["table"], _places(content["arrays"], array_bytes)
    except (*_INVALID, msgpack.UnpackException) as error:
        raise _damaged(path, f"its header is not valid: {error}") from error


def _unpack(header: bytes | memoryview) -> Any:
    """Unpack a header. Its lengths are checked first, because msgpack allocates by them.

    Raises:
        ValueError, msgpack.UnpackException: it is not msgpack, or too deep.
    """
    scanner = msgpack.Unpacker(max_buffer_size=len(header))
    scanner.feed(header)
    scanner.skip()
    return msgpack.unpackb(header)


def _places(index: Any, array_bytes: int) -> list[_Place]:
    """Check dtypes, shapes and places of the arrays (no gap, no overlap); return the places."""
    places: dict[str, _Place] = {}
    end = 0
    for item in index:
        path, shape = item["path"], item["shape"]
        shown = reprlib.repr(path)
        if not isinstance(path, str) or path in places:
            raise ValueError(f"the path {shown} is not text, or occurs twice")
        if item["dtype"] not in _DTYPES:
            raise ValueError(f"{shown} has the dtype {reprlib.repr(item['dtype'])}")
        dtype = _dtype(item["dtype"])
        if not _is_shape(shape):
            raise ValueError(f"{shown} has the shape {reprlib.repr(shape)}")
        start, size = end, math.prod(shape) * dtype.itemsize
        if item["offset"] != start or item["nbytes"] != size or start + size > array_bytes:
            raise ValueError(f"{shown}: its bytes are not where they should be")
        end = start + size
        places[path] = _Place(path, dtype, tuple(shape), slice(start, end))
    if end != array_bytes:
        raise ValueError(f"{array_bytes - end} bytes belong to no array")
    return list(places.values())


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        return False
    return all(type(length) is int and length >= 0 for length in shape)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes  # registers the name with NumPy

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
