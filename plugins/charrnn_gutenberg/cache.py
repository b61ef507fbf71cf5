"""Downloaded books on disk: the bytes as they came, and a sidecar that says where from."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from charrnn_core.errors import StorageError
from charrnn_core.storage import explained, sha256, write_atomically

SCHEME = "gutenberg"


@dataclass(frozen=True)
class Sidecar:
    """Where a cached book came from, and what it was.

    Arguments:
        url, final_url: the address asked for, and the one that answered after redirects.
        fetched_at: UTC, ISO 8601.
        etag, last_modified: what the server calls this version, for asking again.
        bytes, sha256_raw: the size and digest of the file beside this one.
        sha256_content: the digest of the text without its wrapper, by `stripper_version`; None
            where it could not be cut.
    """

    url: str
    final_url: str
    fetched_at: str
    etag: str | None
    last_modified: str | None
    bytes: int
    sha256_raw: str
    sha256_content: str | None
    stripper_version: int


class CachedBook:
    """The place of one book in the cache.

    The file name is our own digest: nothing a user types becomes part of a path.

    Arguments:
        directory: the directory of cached books; it may not exist yet.
        number: the book's number.
    """

    def __init__(self, directory: Path, number: int) -> None:
        digest = hashlib.sha256(f"{SCHEME}\0{number}".encode()).hexdigest()[:32]
        self.raw = directory / f"{digest}.raw"
        self.sidecar = directory / f"{digest}.json"
        self.lock = directory / f"{digest}.lock"

    def read(self) -> tuple[bytes, Sidecar] | None:
        """The book, or None if it is absent or damaged.

        Raises:
            StorageError: it is there but cannot be read.
        """
        try:
            with explained("read", self.raw):
                data = self.raw.read_bytes()
            with explained("read", self.sidecar):
                sidecar = Sidecar(**json.loads(self.sidecar.read_bytes()))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        except (ValueError, TypeError):  # no JSON, or not the fields of a sidecar
            return None
        return (data, sidecar) if sha256(data) == sidecar.sha256_raw else None

    def write(self, data: bytes, sidecar: Sidecar) -> None:
        """Keep a book.

        Raises:
            StorageError: the disk is full, the directory read-only, ...
        """
        # The bytes first: a crash in between leaves a pair that fails its check, never a wrong one.
        write_atomically(self.raw, [data])
        write_atomically(self.sidecar, [json.dumps(dataclasses.asdict(sidecar), indent=1).encode()])
