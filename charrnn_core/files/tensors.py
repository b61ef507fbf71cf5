"""Checkpoints in the format of safetensors, which other programs read. Imports no jax.

The arrays are the file's tensors, by their paths; the table, as JSON, is in its metadata beside the
SHA-256 of the arrays, because the format itself notices no flipped bit. Nothing in such a file is
imported or executed.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from charrnn_core.devices import memory_bytes
from charrnn_core.errors import CharRNNError, CheckpointError, shown
from charrnn_core.files.atomic import explained
from charrnn_core.files.checkpoint import Arrays, Checkpoint, longest_header
from charrnn_core.files.regular import read_named
from charrnn_core.terminal import one_line, printable

SUFFIX = ".safetensors"
_FORMAT = 1
_LONGEST_REASON = 200
_LENGTH = struct.Struct("<Q")
_DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "F16": "float16", "BF16": "bfloat16",
    "F32": "float32", "F64": "float64", "C64": "complex64",
}  # fmt: skip


def is_tensors(path: Path) -> bool:
    """Say whether a file is in the format of safetensors, by its name.

    >>> is_tensors(Path("a/poems.safetensors")), is_tensors(Path("step-000000490.crn"))
    (True, False)
    """
    return path.suffix == SUFFIX


def tensors_bytes(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes of a file.

    Raises:
        CheckpointError: an array has a type that the format lacks, or the table is not plain data.
        CharRNNError: the package is missing.
    """
    arrays = {name: np.ascontiguousarray(each) for name, each in checkpoint.arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES.values():
            raise CheckpointError(
                f"cannot save {name}: its dtype is {array.dtype}; expected one of "
                f"{', '.join(sorted(_DTYPES.values()))}"
            )
    library = _library()
    specs = {
        name: library.TensorSpec(
            dtype=array.dtype.name,
            shape=checkpoint.arrays[name].shape,  # a number of no axes has got one
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in arrays.items()
    }
    try:
        table = json.dumps(dict(checkpoint.table), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"cannot save the table as JSON: {error}") from error
    metadata = {"charrnn": str(_FORMAT), "manifest": table, "sha256": _digest(checkpoint.arrays)}
    data = bytes(library.serialize(specs, metadata=metadata))
    if _header_is_too_long(data):
        raise CheckpointError(f"cannot save the table: as JSON, it takes {len(table)} bytes")
    return data


def load_tensors(path: Path) -> Checkpoint:
    """Read such a file, which a user names, and verify it.

    Raises:
        CheckpointError: it is damaged, from another program or from a newer charrnn.
        StorageError: it cannot be read, or is not a regular file.
        CharRNNError: the package is missing.
    """
    library = _library()
    with explained("read", path):
        data = read_named(path, memory_bytes())
    try:
        if _header_is_too_long(data):
            raise ValueError(f"its header does not fit a file of {len(data)} bytes")
        found = library.deserialize(data)
        metadata = _metadata(data)
    except (library.SafetensorError, ValueError, RecursionError, OverflowError) as error:
        reason = printable(one_line(str(error)))[:_LONGEST_REASON]
        raise CheckpointError(
            f"{path} is damaged, or not in the format of safetensors: {reason}; use another copy"
        ) from error
    if "manifest" not in metadata or "charrnn" not in metadata:
        raise CheckpointError(
            f"{path} has weights, but nothing that says of which network: its metadata lacks "
            "'manifest'; expected what 'charrnn export RUN --to safetensors' wrote"
        )
    if metadata["charrnn"] != str(_FORMAT):
        raise CheckpointError(
            f"{path} has format {metadata['charrnn'][:20]!r}; this charrnn reads {_FORMAT}: "
            "upgrade charrnn"
        )
    arrays = {name: _array(path, name, tensor) for name, tensor in found}
    if metadata.get("sha256") != _digest(arrays):
        raise CheckpointError(
            f"{path} is damaged: its numbers do not match their SHA-256; use another copy"
        )
    return Checkpoint(_table(path, metadata["manifest"]), arrays)


def _library() -> ModuleType:
    try:
        import safetensors
    except ImportError as error:
        raise CharRNNError(
            f"{error.name} is missing, which reads and writes files that end in {SUFFIX}; "
            "pip install 'charrnn[safetensors]'"
        ) from None
    return safetensors


def _header_is_too_long(data: bytes) -> bool:
    """Say whether a header would take much more memory, unpacked, than the file has bytes."""
    length = int.from_bytes(data[: _LENGTH.size], "little")
    rest = len(data) - _LENGTH.size - length
    return rest < 0 or length > longest_header(rest)


def _metadata(data: bytes) -> Mapping[str, str]:
    """Return the texts in the header of a file that the library has read, and so checked."""
    (length,) = _LENGTH.unpack_from(data)
    return json.loads(data[_LENGTH.size : _LENGTH.size + length]).get("__metadata__") or {}


def _array(path: Path, name: str, tensor: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    if tensor["dtype"] not in _DTYPES:
        raise CheckpointError(
            f"{path}: {shown(name)} is of type {shown(tensor['dtype'])}; expected one of "
            f"{', '.join(_DTYPES)}"
        )
    kind = _DTYPES[tensor["dtype"]]
    if kind == "bfloat16":
        import ml_dtypes  # noqa: F401  # registers the name with NumPy
    data = memoryview(tensor["data"]).toreadonly()
    return np.frombuffer(data, np.dtype(kind)).reshape(tensor["shape"])


def _table(path: Path, text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError("it is not a table")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its manifest is not valid: {error}") from error
    return table


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.name} {list(arrays[name].shape)}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
