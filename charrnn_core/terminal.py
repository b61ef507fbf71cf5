"""Text for a terminal: a line, what a model wrote made safe, and rows in columns."""

import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import IO, Any

_SAFE = "\n\t"
_LONG = 1e6


def to_stderr(line: str) -> None:
    """Tell the user one line."""
    print(line, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text with control characters escaped, so that it cannot move the cursor or ring.

    >>> printable("ho\\x1b[2J ho\\n")
    'ho\\\\x1b[2J ho\\n'
    """
    return "".join(
        character
        if character in _SAFE or unicodedata.category(character) not in ("Cc", "Cs")
        else repr(character)[1:-1]
        for character in text
    )


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with their columns below each other.

    >>> aligned([("run", "train a model"), ("sample", "write")])
    ['run     train a model', 'sample  write']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def number(value: float, decimals: int) -> str:
    """A number with so many decimals, or with few digits if it would be long.

    >>> number(1.23456, 4), number(7e120, 4), number(float("nan"), 4)
    ('1.2346', '7e+120', 'nan')
    """
    return f"{value:.{decimals}f}" if abs(value) < _LONG else f"{value:.4g}"


def tell_of_waiting(stream: IO[Any], what: str, note: Callable[[str], None] = to_stderr) -> None:
    """Say that something is read from the terminal, if it is: nobody waits in silence."""
    if stream.isatty():
        key = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        note(f"reading {what} from the terminal; end it with {key}")
