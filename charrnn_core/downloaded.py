"""The cache of downloads: the bytes as received, and a sidecar file that describes them."""

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from charrnn_core.download import Answer
from charrnn_core.errors import SourceError, StorageError
from charrnn_core.files.atomic import explained, locked, make_directory, sha256, write_atomically
from charrnn_core.files.regular import read_own
from charrnn_core.text.corpus import SourceContext


class Found(NamedTuple):
    """A download.

    Fields:
        data: the bytes as received.
        facts: ``url`` and ``final_url``, the address requested and the one that answered after
            redirects; ``fetched_at``, UTC, ISO 8601; ``etag`` and ``last_modified``, the server's
            identifiers of this version; ``bytes`` and ``sha256_raw``, the size and digest of the
            data; and anything else that the source stores.
    """

    data: bytes
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, url: str, answer: Answer, **more: Any) -> "Found":
        """Describe the answer to a request for `url`."""
        facts = {
            "url": url,
            "final_url": answer.url,
            "fetched_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "etag": answer.headers.get("etag"),
            "last_modified": answer.headers.get("last-modified"),
            "bytes": len(answer.body),
            "sha256_raw": sha256(answer.body),
        }
        return cls(answer.body, {**facts, **more})

    def conditions(self, url: str) -> dict[str, str]:
        """Return headers to request only changes; an etag belongs to one address."""
        if self.facts.get("url") != url:
            return {}
        names = {"If-None-Match": "etag", "If-Modified-Since": "last_modified"}
        return {name: str(self.facts[key]) for name, key in names.items() if self.facts.get(key)}


class Downloaded:
    """The place of one download in the cache.

    The file name is a digest of the key, so nothing a user types becomes part of a path.

    Arguments:
        directory: the directory of a source's downloads; it may not exist yet.
        key: identifies the download, such as the source's name and its argument.
    """

    def __init__(self, directory: Path, key: str) -> None:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.raw = directory / f"{digest}.raw"
        self.sidecar = directory / f"{digest}.json"
        self.lock = directory / f"{digest}.lock"

    def get(
        self,
        what: str,
        context: SourceContext,
        refresh: bool,
        download: Callable[[Found | None], Found],
        other_ways: str,
    ) -> Found:
        """Return the cached download; without one, call `download` and cache what it returns.

        Concurrent processes that want the same thing download it once.

        Arguments:
            what: its name in messages, such as ``"gutenberg:520"``.
            context: where the cache is, and whether we are offline.
            refresh: download again; `download` gets the cached one, to request only changes.
            download: takes the cached download or None, returns the new one.
            other_ways: what a user who is offline can do instead.

        Raises:
            SourceError: it is not in the cache, and we are offline.
            StorageError: the cache cannot be read or written.
        """
        # First without the lock, which also works in a read-only cache; the digest is checked.
        found = self.read()
        if found and not (refresh and not context.offline):
            return found
        if context.offline:
            state = "damaged" if self.raw.exists() else "missing"
            raise SourceError(
                f"{what} is {state} in the cache {context.cache}, and CHARRNN_OFFLINE forbids "
                f"downloading it; unset CHARRNN_OFFLINE to go online, or {other_ways}"
            )
        make_directory(self.raw.parent)
        with locked(self.lock):
            found = self.read()  # another process may just have fetched it
            if found and not refresh:
                return found
            if not found and self.raw.exists():
                context.note(f"the cached {what} is damaged; downloading it again")
            new = download(found)
            if new is not found:
                self._write(new)
            return new

    def read(self) -> Found | None:
        """Read the download; return None if it is absent or damaged.

        Raises:
            StorageError: it exists but cannot be read.
        """
        try:
            with explained("read", self.raw):
                data = read_own(self.raw)
            with explained("read", self.sidecar):
                facts = json.loads(read_own(self.sidecar))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        except (ValueError, RecursionError):  # not JSON
            return None
        whole = isinstance(facts, dict) and isinstance(facts.get("final_url"), str)
        return Found(data, facts) if whole and facts.get("sha256_raw") == sha256(data) else None

    def _write(self, found: Found) -> None:
        # The bytes first: a crash in between leaves a pair that fails its check, not a wrong pair.
        write_atomically(self.raw, [found.data])
        write_atomically(self.sidecar, [json.dumps(dict(found.facts), indent=1).encode()])
