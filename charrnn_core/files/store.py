"""A store of bytes by key that only ever saves time: whatever is wrong with it, work goes on."""

import contextlib
import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from charrnn_core.errors import StorageError
from charrnn_core.files.atomic import Disk, explained, write_atomically
from charrnn_core.files.regular import read_own

_DIGEST_BYTES = 32


class _Unsynced(Disk):
    """A disk that may forget what was written last, since a power cut costs only time here."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


class Store:
    """Bytes by key, in a folder that any number of processes may use at once.

    A file is a digest and the bytes it is of, under a name that is a digest of the key. It is
    written under another name first, so that a process that is killed leaves the old file or the
    new. What does not match its digest is removed and counts as absent.

    All below `root` has a limit: beyond it, the files that have not been read or written for the
    longest go, the leftovers of killed writers and the folders of earlier versions among them.

    Arguments:
        root: the folder with the limit.
        name: the folder in it that is used; it is made if it does not exist.
        limit: bytes.
        note: takes a line for the user: about every damaged file, and once if nothing can be kept.
        remedy: what a user can do if nothing can be kept there.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Store(Path(folder.name), "3.1", limit=10**6, note=print, remedy="use another disk")
    >>> store.put("answer", b"42")
    >>> store.get("answer"), store.get("question")
    (b'42', None)
    >>> file = next(store.folder.iterdir())
    >>> _ = file.write_bytes(file.read_bytes()[:-1] + b"3")
    >>> store.get("answer")
    note: a file kept in /...3.1 was damaged; it is made again
    >>> folder.cleanup()
    """

    def __init__(
        self, root: Path, name: str, *, limit: int, note: Callable[[str], None], remedy: str
    ) -> None:
        self.folder = root / name
        self._root, self._limit = root, limit
        self._note, self._remedy = note, remedy
        self._room: int | None = None
        self._readable = self._writable = self._is_safe()

    def get(self, key: str) -> bytes | None:
        """Return the bytes kept under a key; None if there are none, or they are damaged."""
        if not self._readable:
            return None
        file = self._file(key)
        try:
            data = read_own(file)
        except (OSError, StorageError):
            return None
        digest, value = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(key, value):
            self.forget(key)
            return None
        with contextlib.suppress(OSError):  # a folder that may only be read
            os.utime(file)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep the bytes under a key, in place of those before."""
        size = _DIGEST_BYTES + len(value)
        if not self._writable or size > self._limit:
            return
        try:
            with explained("create", self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(size)
            chunks = [_digest(key, value), value]
            write_atomically(self._file(key), chunks, _Unsynced())
        except StorageError as error:  # what is there already can be read all the same
            self._writable = self._tell(str(error))

    def forget(self, key: str) -> None:
        """Remove what is kept under a key, because it cannot be used, and say so."""
        with contextlib.suppress(OSError):
            self._file(key).unlink()
        self._note(f"note: a file kept in {self.folder} was damaged; it is made again")

    def _file(self, key: str) -> Path:
        return self.folder / sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _make_room(self, size: int) -> None:
        """Remove what has not been used for the longest, unless there is room for `size` bytes.

        Processes that do so at once remove the same files. Each counts only what it writes itself
        until it has used up the room it found, so that the limit may be exceeded for a while.
        """
        if self._room is None or self._room < size:
            files = sorted(self._files())
            used = sum(each for _, each, _ in files)
            for _, each, path in files:
                if used + size <= self._limit:
                    break
                with contextlib.suppress(OSError):
                    path.unlink()
                used -= each
            self._room = self._limit - used
        self._room -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was last used, its size and its path."""
        found = []
        for folder, _, names in os.walk(self._root):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):  # another process has removed it
                    status = path.lstat()
                    found.append((status.st_mtime, status.st_size, path))
        return found

    def _is_safe(self) -> bool:
        """Return whether nobody else can put files there, which may be programs to be run."""
        try:
            status = self.folder.stat()
        except FileNotFoundError:
            return True
        except OSError as error:
            return self._tell(f"cannot read {self.folder}: {error.strerror}")
        if os.name == "posix" and (
            status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH
        ):
            return self._tell(f"other users can write in {self.folder}")
        return True

    def _tell(self, why: str) -> bool:
        self._note(f"note: {why}; going on without: {self._remedy}")
        return False


def _digest(key: str, value: bytes) -> bytes:
    digest = sha256(key.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(value)
    return digest.digest()
