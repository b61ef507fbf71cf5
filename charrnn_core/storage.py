"""Files that are written whole or not at all, and locks that vanish with their process."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_core.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another directory",
    errno.EDQUOT: "free some of your quota or choose another directory",
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
        raise StorageError(
            f"cannot {action} {os.fspath(path)}: {reason}{f'; {remedy}' if remedy else ''}"
        ) from error


def make_directory(path: Path) -> Path:
    """Create a directory, its parents too, and make sure that files can be written in it.

    Raises:
        StorageError: it cannot be created or written to.
    """
    with explained("create", path):
        path.mkdir(parents=True, exist_ok=True)
    with explained("write in", path):
        probe = path / f".probe-{secrets.token_hex(4)}"
        probe.write_bytes(b"")
        probe.unlink()
    return path


def write_atomically(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, never a mix.

    The bytes go to a temporary file in the same directory, which is synced, renamed over `path`,
    and made durable by syncing the directory.

    Raises:
        StorageError: the disk is full, the directory read-only, ...; `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with explained("write", path):
        try:
            with open(temporary, "xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256(data: bytes) -> str:
    """The SHA-256 digest in hexadecimal.

    >>> sha256(b"Santa")[:12]
    'ea5f3cff7f56'
    """
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold an operating-system lock on `path` (created if absent) during the block.

    Arguments:
        timeout: seconds to wait for another holder; negative waits for ever.

    Raises:
        StorageError: somebody else holds the lock for longer than `timeout`.
    """
    import filelock  # it imports asyncio, which would double the time of --help

    with explained("lock", path):
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=timeout)
        except filelock.Timeout as error:
            raise StorageError(
                f"{path} is locked by another process; wait for it to end"
            ) from error
    try:
        yield
    finally:
        lock.release()


def cache_directory() -> Path:
    """Where downloads are kept: ``CHARRNN_CACHE``, else the user's cache directory."""
    import platformdirs

    chosen = os.environ.get("CHARRNN_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("charrnn"))
