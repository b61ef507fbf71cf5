"""Layout for a terminal: wrap text to its width, emphasise where it shows colours.

Text is escaped here, piece by piece, so print the result with `charrnn_core.terminal.emit`. If
standard output is not a terminal, nothing is wrapped or coloured: a line stays a line for grep.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable

from charrnn_core.terminal import printable

_NARROWEST = 20
"""Text is not wrapped into a column narrower than this."""


def room() -> int | None:
    """Return the width of the terminal; None if standard output is not one."""
    return shutil.get_terminal_size().columns if _is_terminal() else None


def wants_colours() -> bool:
    """Return whether standard output is a terminal without NO_COLOR (https://no-color.org)."""
    return _is_terminal() and not os.environ.get("NO_COLOR")


def _is_terminal() -> bool:
    return sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()


def heading(text: str) -> str:
    """Return the text, in bold where colours are wanted."""
    text = printable(text)
    return f"\x1b[1m{text}\x1b[0m" if wants_colours() else text


def alarm(text: str) -> str:
    """Return the text, in red where colours are wanted."""
    text = printable(text)
    return f"\x1b[31m{text}\x1b[0m" if wants_colours() else text


def folded(text: str, width: int | None, first: str = "", rest: str = "") -> list[str]:
    """Wrap a text into lines of at most `width` columns; words stay whole.

    Arguments:
        text: any text; its white space is collapsed.
        width: in columns; None gives a single line.
        first, rest: the prefix of the first line and of the others.

    >>> folded("a cell\\nthat is not all that large", 24, "* ", "  ")
    ['* a cell that is not all', '  that large']
    """
    text = printable(" ".join(text.split()))
    if width is None or width - len(rest) < _NARROWEST:
        return [f"{first}{text}".rstrip()]
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def labelled(rows: Iterable[tuple[str, str]], width: int | None, indent: str = "") -> list[str]:
    """Put a text beside each label, wrapped in a column of its own.

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
