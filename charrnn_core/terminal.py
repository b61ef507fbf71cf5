"""Output: lines for people, data for programs, and streams for displays.

* `say` is for people: it escapes anything that could move the cursor or colour the screen.
* `say_json` and `emit` are for programs, and for text formatted here: they change nothing.
* `outlet` is for displays that do their own formatting, such as a progress bar.

All of them escape characters that the encoding of the stream lacks. A failure to write to standard
error is ignored; a failure to write to standard output raises, because a command may have no other
result. `charrnn_core.console.stdio` handles it.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import IO, Any, TextIO, cast

_LONG = 1e6
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed
    "\u202a-\u202e\u2066-\u2069"  # characters that reverse the direction of text
    "\ud800-\udfff]"  # surrogates
)


def say(text: str = "", *, err: bool = False) -> None:
    """Print lines for people, with control characters escaped.

    >>> say("a cell called \\x1b[31mlstm")
    a cell called \\x1b[31mlstm
    """
    emit(f"{printable(text)}\n", err=err)


def to_stderr(line: str) -> None:
    """Print one line to standard error."""
    say(one_line(line), err=True)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print plain data as one JSON object or list, in ASCII."""
    import json  # here, for --help is to be quick

    emit(json.dumps(value, indent=indent).replace("\x7f", "\\u007f") + "\n")


def emit(text: str | bytes, *, err: bool = False, flush: bool = True) -> None:
    """Write text unchanged: a result for a program, or text already formatted."""
    if err:
        with contextlib.suppress(OSError, ValueError):
            _write(sys.stderr, text, flush)
    else:
        _write(sys.stdout, text, flush)


def outlet(*, err: bool = False) -> TextIO:
    """Return standard output or standard error for a display; failures to write are ignored.

    The stream is looked up at every write, so that a program may redirect it.
    """
    return cast(TextIO, _Outlet("stderr" if err else "stdout"))


class _Outlet(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _stream(self) -> Any:
        stream = getattr(sys, self._name)
        # While rich shows a bar, it replaces the stream with a proxy that would lead back here.
        return getattr(stream, "rich_proxied_file", stream)

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # as in io
        return getattr(self._stream, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except (AttributeError, ValueError):  # the stream is missing or closed
            return False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError, ValueError):
            _write(self._stream, text, flush=False)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._stream.flush()


def _write(stream: TextIO | None, text: str | bytes, flush: bool) -> None:
    if stream is None:  # a program without a console
        return
    if isinstance(text, bytes):
        stream.flush()
        stream.buffer.write(text)
    else:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    if flush:
        stream.flush()


def note_warnings(kind: type[Warning]) -> None:
    """Print Python's warnings of a kind as notes, each once; leave other warnings alone."""
    shown, others = set[str](), warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, kind):
            others(message, category, *where, **more)
        elif str(message) not in shown:
            shown.add(str(message))
            to_stderr(f"note: {message}")

    warnings.showwarning = show


def printable(text: str) -> str:
    """Escape control characters, so that a text cannot move the cursor or ring the bell.

    >>> printable("ho\\x1b[2J ho\\n")
    'ho\\\\x1b[2J ho\\n'
    """
    return re.sub(_UNSAFE, lambda found: repr(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Join the lines of a text with spaces.

    >>> one_line("no such cell;\\navailable: elman")
    'no such cell; available: elman'
    """
    return " ".join(text.splitlines())


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Format rows as lines with aligned columns.

    >>> aligned([("run", "train a model"), ("sample", "write")])
    ['run     train a model', 'sample  write']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def number(value: float, decimals: int) -> str:
    """Format a number with this many decimals, or in scientific notation if it is large.

    >>> number(1.23456, 4), number(7e120, 4), number(float("nan"), 4)
    ('1.2346', '7e+120', 'nan')
    """
    return f"{value:.{decimals}f}" if abs(value) < _LONG else f"{value:.4g}"


def tell_of_waiting(stream: IO[Any], what: str, note: Callable[[str], None] = to_stderr) -> None:
    """Tell the user when a command is waiting for input from the terminal."""
    if stream.isatty():
        key = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        note(f"reading {what} from the terminal; end it with {key}")
