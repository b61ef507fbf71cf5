"""Text laid out for a terminal: as wide as it is, with emphasis where it shows colours.

What is laid out is escaped here, piece by piece, and so `charrnn_core.terminal.emit` prints it.
Where standard output is no terminal nothing is wrapped or coloured: a line stays a line for grep.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable

from charrnn_core.terminal import printable

_NARROWEST = 20
"""A column of fewer characters is not worth wrapping text into."""


def room() -> int | None:
    """How many columns the terminal has; None where standard output is none."""
    return shutil.get_terminal_size().columns if _is_terminal() else None


def wants_colours() -> bool:
    """Whether standard output is a terminal whose user does not object (https://no-color.org)."""
    return _is_terminal() and not os.environ.get("NO_COLOR")


def _is_terminal() -> bool:
    return sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()


def heading(text: str) -> str:
    """The text, bold where colours are wanted."""
    text = printable(text)
    return f"\x1b[1m{text}\x1b[0m" if wants_colours() else text


def alarm(text: str) -> str:
    """The text, in red where colours are wanted."""
    text = printable(text)
    return f"\x1b[31m{text}\x1b[0m" if wants_colours() else text


def folded(text: str, width: int | None, first: str = "", rest: str = "") -> list[str]:
    """A text as one line, or as lines of at most so many columns; words stay whole.

    Arguments:
        width: in columns; None is any.
        first, rest: what the first line and the others begin with.

    >>> folded("a cell\\nthat is not all that large", 24, "* ", "  ")
    ['* a cell that is not all', '  that large']
    """
    text = printable(" ".join(text.split()))
    if width is None or width - len(rest) < _NARROWEST:
        return [f"{first}{text}".rstrip()]
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    ) or [first.rstrip()]  # fmt: skip


def labelled(rows: Iterable[tuple[str, str]], width: int | None, indent: str = "") -> list[str]:
    """Labels with a text beside each, which is folded in a column of its own.

    >>> labelled([("cell", "lstm"), ("text", "python-docs")], None)
    ['cell  lstm', 'text  python-docs']
    >>> labelled([("cell", "a network with many options")], 28)
    ['cell  a network with many', '      options']
    """
    rows = [(printable(label), text) for label, text in rows]
    widest = max((len(label) for label, _ in rows), default=0)
    lines = []
    for label, text in rows:
        first = f"{indent}{label:{widest}}  "
        lines += folded(text, width, first, " " * len(first))
    return lines
