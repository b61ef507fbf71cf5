"""The wrapper: the header and licence that Project Gutenberg puts around a book.

Thirty years of editions mark the wrapper in a dozen ways. A marker counts only as a whole line and
only where it belongs (a header near the start, a footer near the end), since books quote anything.
"""

import re
from dataclasses import dataclass

from charrnn_core.errors import CorpusError

STRIPPER_VERSION = 2
"""Raised whenever the same bytes would give another text; recorded beside each download."""

_START_SHARE, _START_LINES = 0.25, 1000
_END_SHARE = 0.4
_LEAST_KEPT = 0.5

# All repetitions are bounded, so that no input makes the search quadratic. A title may run over
# several lines until the closing stars, but never over a blank line.
_TITLE = r"(?:(?:(?!\n[ \t]{0,80}\n).){0,500}?\*{3}[ \t]{0,80}$|[^\n]{0,500}$)"
_LINE = r"[^\n]{0,500}$"
_PRODUCT = r"(?:copyrighted\s{1,9})?project\s{1,9}gutenberg"

_START = re.compile(
    r"^[ \t]{0,80}(?:"
    rf"\*{{1,9}}[ \t]{{0,9}}start\s{{1,9}}of\s{{1,9}}th(?:e|is)\s{{1,9}}{_PRODUCT}{_TITLE}"
    rf"|\*?end[ \t]{{0,9}}\*?[ \t]{{0,9}}the\s{{1,9}}small\s{{1,9}}print{_LINE}"
    r"|\*{0,9}these\s{1,9}[^\n]{1,60}(?:were\s{1,9})?prepared\s{1,9}by\s{1,9}(?:thousands|hundreds)"
    rf"{_LINE})",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_END = re.compile(
    r"^[ \t]{0,80}(?:"
    r"\*{0,9}[ \t]{0,9}(?:the\s{1,9})?end\s{1,9}of\s{1,9}(?:th(?:e|is)\s{1,9})?"
    rf"{_PRODUCT}|ende\s{{1,9}}dieses\s{{1,9}}projekte?s?\s{{1,9}}gutenberg)",
    re.IGNORECASE | re.MULTILINE,
)
_CREDITS = re.compile(
    r"(?:produced|(?:this\s{1,9})?e-?(?:text|book)\s{1,9}(?:was\s{1,9})?"
    r"(?:produced|prepared|transcribed))\s{1,9}by\b",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\s*")
_PARAGRAPH_END = re.compile(r"\n[ \t]{0,80}\n")
_LONGEST_CREDITS = 2000


@dataclass(frozen=True)
class Stripped:
    """A book without its wrapper, and which of the two markers were found."""

    text: str
    start: bool
    end: bool


def strip_wrapper(text: str) -> Stripped:
    """Cut the wrapper and the credits below it; without any marker the text stays as it is.

    Arguments:
        text: a book whose lines end in a line feed.

    Raises:
        CorpusError: less than half of the text would remain, so the markers are not to be trusted.

    >>> header = "*** START OF THE PROJECT GUTENBERG EBOOK JOY ***"
    >>> strip_wrapper(f"{header}\\n\\n{'Ho ho ho. ' * 9}").text[:9]
    'Ho ho ho.'
    """
    found_start = found_end = False
    # Blank lines around the text would shift where markers are looked for.
    body = trim_blank_lines(text)
    # A new wrapper is often put around an older one, and a closing line stands before the marker
    # proper: cutting until nothing is left to cut removes both, and makes the result stable.
    while True:
        start, end = _bounds(body)
        if start is None and end is None:
            break
        found_start, found_end = found_start or start is not None, found_end or end is not None
        body = trim_blank_lines(body[slice(start, end)])
        if len(body) < _LEAST_KEPT * len(text):
            raise CorpusError(
                f"cutting Project Gutenberg's wrapper would leave {len(body)} of {len(text)} "
                f"characters; expected at least {_LEAST_KEPT:.0%}: keep the whole text with "
                "--source-opt strip=false, or cut it by hand and use --source file:PATH"
            )
    return Stripped(body if found_start or found_end else text, found_start, found_end)


def trim_blank_lines(text: str) -> str:
    """The text without blank lines at its start and its end.

    >>> trim_blank_lines("\\n \\n  one\\n\\ntwo \\n\\n")
    '  one\\n\\ntwo '
    """
    first = len(text) - len(text.lstrip())
    stop = text.find("\n", len(text.rstrip()))
    return text[text.rfind("\n", 0, first) + 1 : stop if stop >= 0 else len(text)]


def _bounds(text: str) -> tuple[int | None, int | None]:
    """Where the book starts and ends: after the last header, before the first footer."""
    end = _END.search(text, int(len(text) * (1 - _END_SHARE)))
    limit = max(int(len(text) * _START_SHARE), _offset_of_line(text, _START_LINES))
    if end:
        limit = min(limit, end.start())
    start = None
    for match in _START.finditer(text):
        if match.start() >= limit:
            break
        start = match.end()
    return start and _after_credits(text, start), end and end.start()


def _after_credits(text: str, position: int) -> int:
    """Where the book starts below a header: after "Produced by ..." and the like."""
    while True:
        blanks = _BLANKS.match(text, position)
        first = blanks.end() if blanks else position
        stop = _PARAGRAPH_END.search(text, first, first + _LONGEST_CREDITS)
        if not stop or not _CREDITS.match(text, first):
            return position
        position = stop.start()


def _offset_of_line(text: str, line: int) -> int:
    """Where line number `line` starts, or the end of the text."""
    position = 0
    for _ in range(line):
        position = text.find("\n", position) + 1
        if not position:
            return len(text)
    return position
