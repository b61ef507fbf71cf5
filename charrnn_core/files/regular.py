"""Safe opening of files: only regular files, without blocking, without following links.

A directory may come from somebody else. A link in it could have another file read, cut or written;
a pipe could block forever; a device may never end. `own` and `named` are openers for Python's
``open``; they check the open descriptor itself, so that the file cannot be swapped in between.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import IO

from charrnn_core.errors import StorageError

AT_MOST = 1 << 28
"""The size in bytes of the largest file that is read at once."""

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def own(path: str, flags: int) -> int:
    """Open a file in a directory of ours, without following a link; an opener for ``open``.

    Raises:
        StorageError: it is a link, or not a regular file.
        OSError: as ``os.open`` does.

    >>> open("/dev/null", "rb", opener=own)
    Traceback (most recent call last):
    charrnn_core.errors.StorageError: /dev/null is a device; expected a regular file: remove it, \
or put the file itself there
    """
    with contextlib.suppress(FileNotFoundError):  # the flags may create it
        check_own(path)
    descriptor = os.open(path, flags | _NO_LINK | _NO_WAITING, 0o666)
    return _checked(descriptor, path, "remove it, or put the file itself there")


def named(path: str, flags: int) -> int:
    """Open a file that a user names, following links; an opener for ``open``.

    Raises:
        StorageError: it is not a regular file.
        OSError: as ``os.open`` does.
    """
    remedy = "copy its contents to a file, and name that"
    with contextlib.suppress(FileNotFoundError):
        _check(os.stat(path).st_mode, path, remedy)
    return _checked(os.open(path, flags | _NO_WAITING, 0o666), path, remedy)


def check_own(path: str | os.PathLike[str]) -> None:
    """Refuse a path in a directory of ours that is not a regular file.

    Raises:
        StorageError: it is a link, or not a regular file.
        OSError: as ``os.lstat`` does, such as for a missing file.
    """
    _check(os.lstat(path).st_mode, path, "remove it, or put the file itself there")


def check_own_directory(path: Path) -> None:
    """Refuse a directory of ours that is a link: files removed in it may be somebody else's.

    Raises:
        StorageError: it is a link.
    """
    if path.is_symlink():
        raise StorageError(
            f"{path} is a symbolic link; expected a directory: put the directory itself there "
            "(its parents may be links)"
        )


def read_own(path: Path, at_most: int = AT_MOST) -> bytes:
    """Read all bytes of a file in a directory of ours.

    Raises:
        StorageError: it is a link or not a regular file, or has more than `at_most` bytes.
        OSError: as ``open`` does.
    """
    with open(path, "rb", opener=own) as file:
        return read_whole(file, at_most)


def read_named(path: Path, at_most: int = AT_MOST) -> bytes:
    """Read all bytes of a file that a user names.

    Raises:
        StorageError: it is not a regular file, or has more than `at_most` bytes.
        OSError: as ``open`` does.
    """
    with open(path, "rb", opener=named) as file:
        return read_whole(file, at_most)


def read_whole(file: IO[bytes], at_most: int) -> bytes:
    """Read all bytes of an open regular file.

    Raises:
        StorageError: it has more than `at_most` bytes.
    """
    if (size := os.fstat(file.fileno()).st_size) > at_most:
        raise StorageError(f"{file.name} has {size} bytes; expected at most {at_most}")
    return file.read()


def cut_own(path: Path, length: int) -> None:
    """Truncate a log to a length; leave a shorter or missing one alone.

    Raises:
        StorageError: it is a link or not a regular file.
        ValueError: the length is negative.
        OSError: as ``open`` does.
    """
    if length < 0:
        raise ValueError(f"a length of {length} bytes; expected at least 0")
    with contextlib.suppress(FileNotFoundError), open(path, "r+b", opener=own) as file:
        if os.fstat(file.fileno()).st_size > length:
            file.truncate(length)


def _checked(descriptor: int, path: str, remedy: str) -> int:
    try:
        _check(os.fstat(descriptor).st_mode, path, remedy)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(mode: int, path: str | os.PathLike[str], remedy: str) -> None:
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise StorageError(f"{os.fspath(path)} is {what}; expected a regular file: {remedy}")
