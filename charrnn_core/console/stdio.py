"""The standard streams of the process: open, and a failure to write told from everything else.

Whoever starts a program may close its streams, fill the disk they lead to, leave the other end of
a pipe or take the terminal away. `guarded` sees to it that

* a file which is opened later never becomes the stream that was closed, to be printed into;
* writing to standard error never raises, for nobody could be told;
* a failure to write to standard output ends the command with `OutputError`, or silently if the
  reader, such as ``head``, has seen enough; within `dispensable` it costs only what was printed;
* what a stream's encoding cannot hold is escaped, whoever prints.
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
    """A standard stream that remembers why it could not be written to.

    Arguments:
        descriptor: of the open file.
        name: of the stream.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.name = name
        self.strict = False
        self.failure: OutputError | None = None

    def write(self, data: Any, /) -> int:
        try:
            while (written := super().write(data)) is None:  # somebody made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self.failure = _explained(error)
            if self.strict:
                raise self.failure from error
            return len(data)  # it is lost, and must not wait to be written again


class _NoInput(io.RawIOBase):
    """The standard input of a process that was started without one."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        raise UsageError("standard input is closed; pipe something into it, or name a file")


def _explained(error: OSError) -> OutputError:
    if error.errno == errno.EPIPE:
        return ReaderLeftError("the reader of standard output has left")
    why = "it is closed" if error.errno == errno.EBADF else error.strerror
    return OutputError(f"cannot write to standard output: {why}")


_streams: list[_Output] = []
"""Standard output, once it is guarded."""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard the standard streams, from here to the end of the process.

    Raises:
        SystemExit: standard output could not be written to, which the user has been told.
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
        _set_strict(False)  # Python writes what is left, and has nobody to tell either


def _guard(stream: Any, descriptor: int, name: str) -> tuple[Any, list[_Output]]:
    """A stream in place of another that leads where that one does, and what guards it."""
    if stream is None:
        # Writing to it fails, as it would have failed on what is closed.
        output = _Output(_open_nothing(os.O_RDONLY), name)
        return _text(output, locale.getencoding(), line_buffering=False), [output]
    if not _leads_to(stream, descriptor):  # a program has put its own in the place
        return stream, []
    with contextlib.suppress(OSError):
        stream.flush()
    output = _Output(descriptor, name)
    lines = stream.line_buffering or stream.write_through
    return _text(output, stream.encoding, line_buffering=lines), [output]


def _leads_to(stream: Any, descriptor: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    except (OSError, ValueError):  # it is a buffer, or closed
        return False


def _set_strict(strict: bool) -> None:
    for output in _streams:
        output.strict = strict


def _open_nothing(how: int) -> int:
    """Open the null device; it becomes the lowest descriptor, which is the one that is closed."""
    descriptor = os.open(os.devnull, how)
    os.set_inheritable(descriptor, True)
    return descriptor


def _text(output: _Output, encoding: str, *, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding, "backslashreplace", line_buffering=line_buffering
    )


@contextlib.contextmanager
def dispensable() -> Iterator[list[OutputError]]:
    """Lose what cannot be printed, for what is done here has another result, such as files.

    Afterwards the list holds why something was lost; it is empty too if nobody wanted to read it.
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
