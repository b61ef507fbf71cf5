"""The standard streams of the process, guarded against being closed, full or gone.

The parent of a process may close its streams, fill the disk they lead to, close the other end of a
pipe or take the terminal away. `guarded` ensures that

* a file opened later never takes the descriptor of a closed stream, to be printed into;
* writing to standard error never raises, because there is nowhere to report it;
* a failure to write to standard output ends the command with `OutputError`, or silently if the
  reader, such as ``head``, has closed the pipe; within `dispensable` only the output is lost;
* characters that a stream's encoding lacks are escaped, no matter who prints them.
"""

import contextlib
import errno
import io
import locale
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

from charrnn_core.errors import OutputError, ReaderLeftError, UsageError
from charrnn_core.terminal import to_stderr


class _Output(io.FileIO):
    """A standard stream that remembers why writing to it failed.

    Arguments:
        descriptor: the descriptor of the open file.
        name: the name of the stream.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.name = name
        self.strict = False
        self.failure: OutputError | None = None

    def write(self, data: Any, /) -> int:
        try:
            while (written := super().write(data)) is None:  # the descriptor is non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self.failure = _explained(error)
            if self.strict:
                raise self.failure from error
            return len(data)  # lost; the buffer must not keep it to write again


class _NoInput(io.RawIOBase):
    """The standard input of a process started without one; reading it raises."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        raise UsageError("standard input is closed; pipe something into it, or name a file")


def _explained(error: OSError) -> OutputError:
    if error.errno == errno.EPIPE:
        return ReaderLeftError("the reader of standard output has closed the pipe")
    why = "it is closed" if error.errno == errno.EBADF else error.strerror
    return OutputError(f"cannot write to standard output: {why}")


_streams: list[_Output] = []
"""Standard output, once guarded."""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard the standard streams until the end of the process.

    Raises:
        SystemExit: writing to standard output failed; this has been reported on standard error.
    """
    if sys.stdin is None:
        _open_nothing(os.O_WRONLY)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_NoInput()), encoding="utf-8")
    sys.stdout, output = _guard(sys.stdout, 1, "<stdout>")
    sys.stderr, _ = _guard(sys.stderr, 2, "<stderr>")
    _streams[:] = output
    _set_strict(True)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputError as error:
        if error.exit_code:
            to_stderr(f"Error: {error}")
        sys.exit(error.exit_code)
    finally:
        _set_strict(False)  # Python flushes what is left at exit, and cannot report a failure


def _guard(stream: Any, descriptor: int, name: str) -> tuple[Any, list[_Output]]:
    """Return a stream that replaces another, and the guarded outputs: one, or none."""
    if stream is None:
        # The stream is closed; its substitute fails on write just as it would.
        output = _Output(_open_nothing(os.O_RDONLY), name)
        return _text(output, locale.getencoding(), line_buffering=False), [output]
    if not _leads_to(stream, descriptor):  # a program has replaced the stream with its own
        return stream, []
    with contextlib.suppress(OSError):
        stream.flush()
    output = _Output(descriptor, name)
    lines = stream.line_buffering or stream.write_through
    return _text(output, stream.encoding, line_buffering=lines), [output]


def _leads_to(stream: Any, descriptor: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    except (OSError, ValueError):  # a buffer in memory, or a closed stream
        return False


def _set_strict(strict: bool) -> None:
    for output in _streams:
        output.strict = strict


def _open_nothing(how: int) -> int:
    """Open the null device; it gets the lowest free descriptor, that of the closed stream."""
    descriptor = os.open(os.devnull, how)
    os.set_inheritable(descriptor, True)
    return descriptor


def _text(output: _Output, encoding: str, *, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding, "backslashreplace", line_buffering=line_buffering
    )


@contextlib.contextmanager
def dispensable() -> Iterator[list[OutputError]]:
    """Ignore failures to print, because the work inside has other results, such as files.

    Afterwards the list holds the failures, except those of a reader that closed the pipe.
    """
    lost: list[OutputError] = []
    _set_strict(False)
    try:
        yield lost
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        _set_strict(True)
        failures = [output.failure for output in _streams if output.failure is not None]
        lost += [failure for failure in failures if failure.exit_code]
