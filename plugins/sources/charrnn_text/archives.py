"""Read files piece by piece, unpacking compressed ones with a limit on their size."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from charrnn_core.errors import SourceError

FREE_BYTES = 64 << 20
GREATEST_RATIO = 200
_CHUNK = 1 << 20
_OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def read_file(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked if its name ends in ``.gz``, ``.xz`` or ``.bz2``.

    Raises:
        SourceError: it cannot be read, is truncated or corrupt, or unpacks to far more than its
            size warrants.
    """
    opener = _OPENERS.get(path.suffix.lower())
    try:
        with open(path, "rb") as file:
            yield from (
                _unpack(file, opener, path) if opener else iter(lambda: file.read(_CHUNK), b"")
            )
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _unpack(file: IO[bytes], opener: Callable[..., IO[Any]], path: Path) -> Iterator[bytes]:
    size = 0
    try:
        with opener(file, "rb") as unpacked:
            while chunk := unpacked.read(_CHUNK):
                size += len(chunk)
                # Compared with what has been read so far, so that a bomb is stopped at the limit.
                if size > max(FREE_BYTES, GREATEST_RATIO * file.tell()):
                    raise SourceError(
                        f"{path} unpacks to more than {GREATEST_RATIO} times its size "
                        f"({size} bytes and counting), unlike any text; unpack it yourself if you "
                        "trust it"
                    )
                yield chunk
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(
            f"{path} is truncated or corrupt ({error}); "
            f"expected a complete {path.suffix.lower()} file: download it again"
        ) from error
