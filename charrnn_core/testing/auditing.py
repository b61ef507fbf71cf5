"""What code does to files and to the network, observed through Python's audit events (PEP 578)."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir")
_NO_DIRECTORY = -1
"""What an event has if a path is not relative to an open directory."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass every audit event of this process during the block to a listener.

    If the listener raises, the operation that caused the event fails.

    >>> heard = []
    >>> with listening(lambda event, arguments: heard.append(event)):
    ...     sys.audit("charrnn.example")
    >>> "charrnn.example" in heard
    True
    """
    listeners = _listeners()
    listeners.append(listener)
    try:
        yield
    finally:
        listeners.remove(listener)


@functools.cache
def _listeners() -> list[Listener]:
    """Return the listeners. Python cannot remove an audit hook, so all of them share one."""
    listeners: list[Listener] = []

    def tell(event: str, arguments: tuple[Any, ...]) -> None:
        for listener in tuple(listeners):
            listener(event, arguments)

    sys.addaudithook(tell)
    return listeners


def changed_paths(event: str, arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the paths that an event is about to change.

    >>> changed_paths("open", ("corpus.txt", "w", os.O_WRONLY | os.O_CREAT))
    ('corpus.txt',)
    >>> changed_paths("open", ("corpus.txt", "r", os.O_RDONLY))
    ()
    """
    paths: tuple[Any, ...] = ()
    if event == "open":
        path, _, flags = arguments
        paths = (path,) if isinstance(flags, int) and flags & _WRITING else ()
    elif event in _CHANGES and arguments[-1] == _NO_DIRECTORY:
        paths = arguments[: 2 if event == "os.rename" else 1]
    return tuple(os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike))


def address(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Return the network call that an event announces, or None.

    >>> address("socket.getaddrinfo", ("www.gutenberg.org", 443, 0, 0, 0))
    "socket.getaddrinfo('www.gutenberg.org')"
    """
    if event not in _NETWORK:
        return None
    name = arguments[0] if event.startswith("socket.get") else arguments[-1]
    return f"{event}({name!r})"
