"""Atomic file writes, and locks that vanish with their process."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_core.errors import StorageError
from charrnn_core.files.regular import check_own

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another directory",
    errno.EDQUOT: "free some of your quota or choose another directory",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f) or choose another file system",
    errno.EROFS: "the file system is read-only: choose another directory",
    errno.EACCES: "change its permissions or choose another directory",
    errno.EPERM: "change its permissions or choose another directory",
}


@contextlib.contextmanager
def explained(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StorageError` with the path and a remedy.

    >>> with explained("read", "/nowhere/at/all"):
    ...     open("/nowhere/at/all")
    Traceback (most recent call last):
    charrnn_core.errors.StorageError: cannot read /nowhere/at/all: No such file or directory
    """
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        reason = error.strerror or str(error)
        message = f"cannot {action} {os.fspath(path)}: {reason}"
        raise StorageError(f"{message}; {remedy}" if remedy else message) from error


class Disk:
    """The system calls of a save, in one place so that tests can fail, record or reorder them.

    Every method raises `OSError` like the call itself.
    """

    def create(self, path: Path) -> int:
        """Open a file that must not exist yet for writing; return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the bytes; return how many."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until the file's bytes are on the storage medium."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file over another, atomically."""
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable, where the system supports it."""
        if os.name != "posix":
            return
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise


DISK = Disk()
"""The disk of this machine."""

_LARGEST_WRITE = 1 << 24
_NAMED = 200
_TEMPORARY = re.compile(r"\..+\.[0-9]+-[0-9a-f]{8}\.tmp", re.DOTALL)
# Some network file systems cannot sync a directory, and one may be writable but not readable.
_NO_DIRECTORY_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES}


def user_path(path: str | os.PathLike[str]) -> Path:
    """Expand ``~`` in a path that a user gave, in case no shell did.

    >>> user_path("runs/~/a")
    PosixPath('runs/~/a')
    """
    return Path(os.path.expanduser(path))


def _temporary(path: Path) -> Path:
    """Return a unique name beside `path`, which `remove_temporaries` recognises."""
    name = os.fsencode(path.name)[:_NAMED].decode("utf-8", "ignore")
    return path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def make_directory(path: Path, disk: Disk = DISK) -> Path:
    """Create a directory and its parents durably; check that files can be written in it.

    Raises:
        StorageError: it cannot be created or written to.
    """
    with explained("create", path):
        made = [each for each in path.parents if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in (path, *made):
            disk.sync_directory(each.parent)
    with explained("write in", path):
        probe = _temporary(path / "probe")
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # the holder of the lock may have removed it
    return path


def write_atomically(path: Path, chunks: Iterable[bytes | memoryview], disk: Disk = DISK) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, never a mix.

    The bytes go to a temporary file in the same directory, which is synced, renamed over `path`,
    and made durable by syncing the directory. A process killed in between leaves the temporary file
    behind; `remove_temporaries` removes it.

    Raises:
        StorageError: the disk is full, the directory read-only, ...; `path` is unharmed.
    """
    temporary = _temporary(path)
    with explained("write", path):
        try:
            descriptor = disk.create(temporary)
            try:
                for chunk in chunks:
                    left = memoryview(chunk)
                    while left:
                        left = left[disk.write(descriptor, left[:_LARGEST_WRITE]) :]
                disk.sync(descriptor)
            finally:
                disk.close(descriptor)
            disk.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(temporary)
            raise
        disk.sync_directory(path.parent)


def remove_temporaries(directory: Path, disk: Disk = DISK) -> None:
    """Remove the leftovers of killed writers; call this only while nobody can be writing."""
    for path in filter(lambda path: _TEMPORARY.fullmatch(path.name), directory.glob(".*.tmp")):
        with contextlib.suppress(FileNotFoundError), explained("remove", path):
            disk.unlink(path)


def sha256(data: bytes) -> str:
    """Return the SHA-256 digest in hexadecimal.

    >>> sha256(b"Santa")[:12]
    'ea5f3cff7f56'
    """
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold an operating-system lock on `path` (created if absent) during the block.

    The lock vanishes with its process, however that ends; the file stays.

    Arguments:
        path: the file to lock.
        timeout: seconds to wait for another holder; a negative value waits indefinitely.

    Raises:
        TimeoutError: another process holds the lock for longer than `timeout`.
        StorageError: the file cannot be opened, or is a link or not a regular file.
    """
    import filelock  # imports asyncio, which would double the time of --help

    lock = filelock.FileLock(path, thread_local=False)  # whatever thread leaves the block
    try:
        with explained("lock", path):
            with contextlib.suppress(FileNotFoundError):
                check_own(path)
            lock.acquire(timeout=timeout)
    except StorageError as error:
        if isinstance(error.__cause__, filelock.Timeout):
            raise TimeoutError(f"{path} is locked by another process") from error
        raise
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock on `path`; False if it cannot be determined."""
    if not os.path.lexists(path):
        return False
    try:
        with locked(path, timeout=0):
            return False
    except TimeoutError:
        return True
    except StorageError:  # a directory that is read-only for this user
        return False


def cache_directory() -> Path:
    """Return where downloads are kept: ``CHARRNN_CACHE``, else the user's cache directory."""
    import platformdirs

    chosen = os.environ.get("CHARRNN_CACHE")
    return user_path(chosen) if chosen else Path(platformdirs.user_cache_dir("charrnn"))
