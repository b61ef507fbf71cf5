"""Standard output is reserved for results; what plugins print goes to standard error."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def kept_clean() -> Iterator[None]:
    """Redirect everything printed inside the block to standard error, the descriptor included.

    A caller that asks for JSON parses standard output, and a plugin may print when it is imported,
    or a cell when it is built. The redirection covers the whole process with all its threads.

    >>> with kept_clean():
    ...     print("a plugin says hello")
    >>> print("the answer")
    the answer
    """
    _REDIRECTION.begin()
    try:
        yield
    finally:
        _REDIRECTION.end()


def apart(items: Iterable[T]) -> Iterator[T]:
    """Yield the same items; anything printed while one is produced goes to standard error.

    >>> def loud():
    ...     print("a plugin says hello")
    ...     yield 1
    >>> list(apart(loud()))
    [1]
    """
    iterator = iter(items)
    while True:
        with kept_clean():
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


class _Redirection:
    """A redirection to standard error, in force from its first user's begin to its last's end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                # If standard output was closed from the start, its descriptor may be any file now.
                if sys.__stdout__ is not None:
                    with contextlib.suppress(OSError, ValueError):
                        _point_at_stderr(sys.__stdout__.fileno(), self._undo)
                self._undo.enter_context(contextlib.redirect_stdout(sys.stderr))
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()


_REDIRECTION = _Redirection()


def _point_at_stderr(descriptor: int, undo: contextlib.ExitStack) -> None:
    """Redirect the descriptor, to catch C libraries and children that bypass ``sys.stdout``."""
    _flush()
    kept = os.dup(descriptor)
    undo.callback(os.close, kept)
    undo.callback(os.dup2, kept, descriptor)
    undo.callback(_flush)
    other = os.open(os.devnull, os.O_WRONLY) if sys.__stderr__ is None else os.dup(2)
    try:
        os.dup2(other, descriptor)
    finally:
        os.close(other)


def _flush() -> None:
    """Write buffered output to where the descriptor points now."""
    for file in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError):  # the next write will report it
            if file is not None:
                file.flush()
