"""Arrays of ids in checked files that are mapped into memory, so that they can be of any size.

Layout, all numbers little-endian: the ids back to back; the magic ``CRNI``, a format version (u16),
the size of an id in bytes (u16), the number of ids (u64), and a key of 32 bytes that identifies the
text and the alphabet; and the SHA-256 of everything before it, which is verified first of all.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.files.atomic import DISK, Disk, explained, write_atomically
from charrnn_core.files.regular import own
from charrnn_core.text.alphabet import Ids

_FORMAT = 1
_MAGIC = b"CRNI"
_TAIL = struct.Struct("<4sHHQ32s")
_DIGEST_BYTES = 32
_CHUNK = 1 << 20
_SEARCHED_AT_ONCE = 2**20


def write_ids(path: Path, key: bytes, pieces: Iterable[Ids], disk: Disk = DISK) -> None:
    """Write ids to a file, atomically.

    Arguments:
        path: the file.
        key: 32 bytes; `open_ids` requires the same.
        pieces: the ids piece by piece, all of one unsigned type.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(path, _sealed(key, pieces), disk)


def _sealed(key: bytes, pieces: Iterable[Ids]) -> Iterator[bytes | memoryview]:
    digest, length, size = hashlib.sha256(), 0, 1
    for piece in pieces:
        data = piece.astype(piece.dtype.newbyteorder("<"), copy=False).tobytes()
        digest.update(data)
        length, size = length + len(piece), piece.itemsize
        yield data
    tail = _TAIL.pack(_MAGIC, _FORMAT, size, length, key)
    digest.update(tail)
    yield tail + digest.digest()


def open_ids(path: Path, key: bytes) -> Ids:
    """Map the ids of a file that `write_ids` wrote; they are read-only and take no memory.

    Raises:
        StorageError: it cannot be read.
        CorpusError: it is damaged or foreign, or has another key.
    """
    with explained("read", path), open(path, "rb", opener=own) as file:
        body = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
        if body < _TAIL.size:
            raise CorpusError(f"{path} is damaged: it is too short")
        digest, left, chunk = hashlib.sha256(), body, memoryview(bytearray(_CHUNK))
        while left and (count := file.readinto(chunk[: min(_CHUNK, left)])):
            digest.update(chunk[:count])
            left -= count
        if file.read() != digest.digest():
            raise CorpusError(f"{path} is damaged: its digest does not match")
        file.seek(body - _TAIL.size)
        magic, version, size, length, its_key = _TAIL.unpack(file.read(_TAIL.size))
        fits = size in (1, 2, 4) and length * size == body - _TAIL.size
        if magic != _MAGIC or version != _FORMAT or its_key != key or not fits:
            raise CorpusError(f"{path} has the wrong name: it does not hold what its name says")
        # From the open file, which was verified; its name may belong to another by now.
        return np.memmap(file, f"<u{size}", "r", shape=(length,))


def give_back(ids: Ids) -> None:
    """Release the memory that reading mapped ids has taken; other arrays are left alone.

    Pages of a mapped file that were read count as the process's memory until the system runs short
    of it. Reading them again brings them back.
    """
    owner: object = ids
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def occurs(symbols: tuple[int, ...], ids: Ids) -> bool:
    """Return whether these symbols occur consecutively in a text, which may be mapped.

    >>> occurs((2, 3), np.arange(5)), occurs((3, 2), np.arange(5))
    (True, False)
    """
    for start in range(0, len(ids), _SEARCHED_AT_ONCE):
        some = ids[start : start + _SEARCHED_AT_ONCE + len(symbols) - 1]
        places = max(0, len(some) - len(symbols) + 1)
        found = [some[i : i + places] == symbol for i, symbol in enumerate(symbols)]
        give_back(ids)
        if np.all(found, axis=0).any():
            return True
    return False
