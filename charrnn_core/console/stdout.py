"""Standard output is for what was asked for; what plugins print goes to standard error."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def kept_clean() -> Iterator[None]:
    """Send to standard error whatever is printed in between, by way of the descriptor too.

    Who asks for JSON reads standard output, and nobody knows what a plugin does when it is
    imported, or a cell when it is built. The whole process is meant, all of its threads.

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
    """The same items; what is printed while one is made goes to standard error.

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
    """From standard output to standard error, from the first who begins it to the last who ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                # A descriptor that was closed from the start may be anybody's file by now.
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
    """Redirect what is written past ``sys.stdout`` too, as by a library in C or a child."""
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
    """Write what waits in a buffer to where the descriptor points now."""
    for file in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError):  # whoever writes there next is told
            if file is not None:
                file.flush()
