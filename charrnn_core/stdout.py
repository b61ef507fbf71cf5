"""Standard output is for what was asked for; what plugins print goes to standard error."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def kept_clean() -> Iterator[None]:
    """Send to standard error whatever is printed in between, by way of the descriptor too.

    Who asks for JSON reads standard output, and nobody knows what a plugin does when it is
    imported, or a cell when it is built.

    >>> with kept_clean():
    ...     print("a plugin says hello")
    >>> print("the answer")
    the answer
    """
    with _descriptor_kept_clean(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _descriptor_kept_clean() -> Iterator[None]:
    """The same for what is written past ``sys.stdout``, as by a library in C or a child."""
    with contextlib.ExitStack() as stack:
        # A descriptor that was closed from the start may be anybody's file by now.
        if sys.__stdout__ is not None:
            with contextlib.suppress(OSError, ValueError):
                _point_at_stderr(sys.__stdout__.fileno(), stack)
        yield


def _point_at_stderr(descriptor: int, stack: contextlib.ExitStack) -> None:
    _flush()
    kept = os.dup(descriptor)
    stack.callback(os.close, kept)
    stack.callback(os.dup2, kept, descriptor)
    stack.callback(_flush)
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
