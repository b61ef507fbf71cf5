"""Checkpoints: a pytree and a table in one self-contained, checked file.

Layout, all numbers little-endian: the magic ``CRNN``, a format version (u16), the length of the
header (u32), the header (msgpack: the table, and path, dtype, shape, offset and size of every
array), the arrays one after the other, and the SHA-256 of everything before it. The reader
verifies the digest before it believes anything; nothing in the file is imported or executed.
"""

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import msgpack
import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CheckpointError
from charrnn_core.storage import explained, write_atomically

FORMAT = 1
_MAGIC = b"CRNN"
_PREFIX = struct.Struct("<4sHI")
_DIGEST_BYTES = 32
_LARGEST_HEADER = 16 * 2**20
_DTYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Arguments:
        table: plain data: configuration, alphabet, plugins, corpus, metrics.
        arrays: arrays by path, such as ``"params/cell/W/kernel"``.
    """

    table: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    def restore(self, template: Any, prefix: str) -> Any:
        """The arrays below `prefix` in the shape of `template`, a pytree of arrays or shapes.

        Raises:
            CheckpointError: a path is missing or left over, or a shape or dtype differs.
        """
        wanted = {f"{prefix}{path}": leaf for path, leaf in _leaves(template)}
        present = {path for path in self.arrays if path == prefix or path.startswith(f"{prefix}/")}
        for path in sorted(wanted.keys() ^ present):
            has, lacks = ("the model", "the file") if path in wanted else ("the file", "the model")
            raise CheckpointError(
                f"the checkpoint does not fit: {has} has {path}, {lacks} does not"
            )
        for path, leaf in wanted.items():
            got, expected = self.arrays[path], f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"
            if f"{got.dtype}{list(got.shape)}" != expected:
                raise CheckpointError(
                    f"the checkpoint does not fit: {path} is {got.dtype}{list(got.shape)} in the "
                    f"file; the model expects {expected}"
                )
        return jax.tree.unflatten(jax.tree.structure(template), [self.arrays[p] for p in wanted])


def save_checkpoint(path: Path, table: Mapping[str, Any], tree: Mapping[str, Any]) -> None:
    """Write a table of plain data and a tree of arrays to one file, atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _leaves(tree, "")}
    index, offset = [], 0
    for name, array in arrays.items():
        place = {"path": name, "dtype": str(array.dtype), "shape": list(array.shape)}
        index.append({**place, "offset": offset, "nbytes": array.nbytes})
        offset += array.nbytes
    header = msgpack.packb({"table": dict(table), "arrays": index})
    assert isinstance(header, bytes)
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        yield _PREFIX.pack(_MAGIC, FORMAT, len(header))
        yield header
        for array in arrays.values():
            yield np.ascontiguousarray(array).tobytes()

    def digested() -> Iterator[bytes]:
        for chunk in chunks():
            digest.update(chunk)
            yield chunk
        yield digest.digest()

    write_atomically(path, digested())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and verify it.

    Raises:
        CheckpointError: the file is damaged, foreign or from a newer charrnn.
        StorageError: it cannot be read.
    """
    with explained("read", path):
        data = memoryview(path.read_bytes())
    if len(data) < _PREFIX.size + _DIGEST_BYTES or bytes(data[:4]) != _MAGIC:
        raise CheckpointError(f"{path} is not a charrnn checkpoint")
    _, version, header_length = _PREFIX.unpack_from(data)
    body = data[:-_DIGEST_BYTES]
    if version > FORMAT:
        raise CheckpointError(
            f"{path} has format {version}; this charrnn reads up to {FORMAT}: upgrade charrnn"
        )
    if hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
        raise CheckpointError(
            f"{path} is damaged: its digest does not match; use another checkpoint"
        )
    try:
        if header_length > _LARGEST_HEADER:
            raise ValueError(f"a header of {header_length} bytes")
        first = _PREFIX.size + header_length
        header = msgpack.unpackb(body[_PREFIX.size : first])
        arrays = {item["path"]: _array(item, body[first:]) for item in header["arrays"]}
        return Checkpoint(header["table"], arrays)
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        raise CheckpointError(f"{path} is not a valid checkpoint: {error}") from error


def _array(item: Mapping[str, Any], arrays: memoryview) -> npt.NDArray[Any]:
    """One array of the file, after its dtype, shape and bounds have been checked."""
    if item["dtype"] not in _DTYPES:
        raise ValueError(f"dtype {item['dtype']!r}")
    dtype, shape = jax.numpy.dtype(item["dtype"]), tuple(map(int, item["shape"]))
    start, size = int(item["offset"]), int(item["nbytes"])
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{item['path']}: {size} bytes for shape {shape}")
    if start < 0 or start + size > len(arrays):
        raise ValueError(f"{item['path']}: outside the file")
    return np.frombuffer(arrays[start : start + size], dtype).reshape(shape)


def _leaves(tree: Any, root: str = "/") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, such as ``/cell/W/kernel``; `root` precedes a non-empty one."""
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        path = jax.tree_util.keystr(keys, simple=True, separator="/")
        yield (root + path if path else ""), leaf
