"""The wrapper: the header and licence that Project Gutenberg puts around a book.

Its markers count only as whole lines. A starred footer counts anywhere after a header, and the last
one wins: the book ends before it. Any other marker counts only if the text to be cut with it looks
like a header or a licence, because a book may quote anything.
"""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

from charrnn_core.errors import CorpusError
from charrnn_gutenberg.markers import CREDITS, END, HEADER, LICENCE, REMNANT, START

STRIPPER_VERSION = 3
"""Incremented when the same bytes would give another text; recorded beside each download."""

LONGEST_WRAPPER = 40_000
"""The most characters in header and licence; real ones have some 35,000 together."""

_START_SHARE, _START_LINES = 0.25, 1000
_LEAST_KEPT = 0.5
_SHORT_HEADER = _HEADER_SHOWS = 1000
_LICENCE_GAP = 2000
_BLANKS = re.compile(r"\s*")
_PARAGRAPH_END = re.compile(r"\n[ \t]{0,80}\n")
_LONGEST_CREDITS = 2000
_SHOWN_REMNANTS, _SHOWN = 3, 60


@dataclass(frozen=True)
class Stripped:
    """A book without its wrapper, and whether its start and end markers were found."""

    text: str
    start: bool
    end: bool


def strip_wrapper(text: str) -> Stripped:
    """Cut the wrapper and the credits below it; return a text without markers unchanged.

    Arguments:
        text: a book whose lines end in a line feed.

    Raises:
        CorpusError: less than half of the text would remain, and more would be cut than any wrapper
            has, so the markers cannot be trusted.

    >>> header = "*** START OF THE PROJECT GUTENBERG EBOOK JOY ***"
    >>> footer = "*** END OF THE PROJECT GUTENBERG EBOOK JOY ***"
    >>> strip_wrapper(f"{header}\\n\\nHo ho ho.\\n\\n{footer}\\n\\nA licence.").text
    'Ho ho ho.'
    """
    found_start = found_end = False
    # Blank lines around the text would shift where markers are looked for.
    body = trim_blank_lines(text)
    # A new wrapper is often put around an older one. Cutting until nothing is left to cut removes
    # both, and makes the function idempotent.
    while True:
        start, end = _bounds(body)
        if start is None and end is None:
            break
        found_start, found_end = found_start or start is not None, found_end or end is not None
        body = trim_blank_lines(body[slice(start, end)])
        if len(body) < min(_LEAST_KEPT * len(text), len(text) - LONGEST_WRAPPER):
            raise CorpusError(
                f"cutting Project Gutenberg's wrapper would leave {len(body)} of {len(text)} "
                f"characters; expected at least {_LEAST_KEPT:.0%}, or to cut at most "
                f"{LONGEST_WRAPPER}: keep the whole text with --source-opt strip=false, or cut it "
                "by hand and use --source file:PATH"
            )
    return Stripped(body if found_start or found_end else text, found_start, found_end)


def find_wrapper(text: str) -> list[tuple[int, int]]:
    """Return where a text has wrappers: around it, and between books that were joined.

    >>> header = "*** START OF THE PROJECT GUTENBERG EBOOK JOY ***"
    >>> footer = "*** END OF THE PROJECT GUTENBERG EBOOK JOY ***"
    >>> book = f"{header}\\n{'Ho ho ho.' * 999}\\n{footer}\\nA licence.\\n"
    >>> text = book + book
    >>> [text[start:end].count("\\n") for start, end in find_wrapper(text)]
    [1, 2, 3]
    """
    if "gutenber" not in text.lower():  # far quicker than all the patterns
        return []
    try:
        body = strip_wrapper(text).text
    except CorpusError:  # it has markers that cannot be trusted
        return []
    first = text.find(body)
    last = first + len(body)
    spans = [(0, first)]
    for footer in END.finditer(text, first, last):
        header = START.search(text, footer.end(), min(last, footer.end() + LONGEST_WRAPPER))
        if footer["starred"] and footer.start() > spans[-1][1] and header is not None:
            spans.append((footer.start(), _after_credits(text, header.end())))
    return [(start, end) for start, end in (*spans, (last, len(text))) if end > start]


def trim_blank_lines(text: str) -> str:
    """Return the text without blank lines at its start and its end.

    >>> trim_blank_lines("\\n \\n  one\\n\\ntwo \\n\\n")
    '  one\\n\\ntwo '
    """
    first = len(text) - len(text.lstrip())
    stop = text.find("\n", len(text.rstrip()))
    return text[text.rfind("\n", 0, first) + 1 : stop if stop >= 0 else len(text)]


def remnants(text: str) -> str:
    """List the lines that mention Project Gutenberg or a transcriber's notes, quoting the first.

    >>> remnants("one\\nEnd of this Project Gutenberg Etext of Part I\\n\\ntwo")
    "line 2 'End of this Project Gutenberg Etext of Part I'"
    >>> remnants("a fox and a loop")
    ''
    """
    shown: list[str] = []
    more = position = 0
    while match := REMNANT.search(text, position):
        begin = text.rfind("\n", 0, match.start()) + 1
        stop = text.find("\n", match.end())
        position = len(text) if stop < 0 else stop
        if len(shown) < _SHOWN_REMNANTS:
            line = " ".join(text[begin:position].split())[:_SHOWN]
            shown.append(f"line {text.count(chr(10), 0, begin) + 1} {line!r}")
        else:
            more += 1
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def _bounds(text: str) -> tuple[int | None, int | None]:
    """Return where the book starts and ends: after its headers, before its footers."""
    footers = [*END.finditer(text)]
    start = _after_headers(text, footers[0].start() if footers else len(text))
    end = len(text)
    if start is not None:
        end = next((m.start() for m in reversed(footers) if m["starred"]), end)
    end = _before_closings(text, [m for m in footers if m.start() < end], end)
    return start if start is None else min(start, end), end if end < len(text) else None


def _after_headers(text: str, limit: int) -> int | None:
    """Return where the book starts: below the last of its headers, before the first footer."""
    limit = min(limit, max(int(len(text) * _START_SHARE), _offset_of_line(text, _START_LINES)))
    found, position = None, 0
    for match in START.finditer(text, 0, limit):
        above = text[position : match.start()].strip()
        if len(above) > _SHORT_HEADER and not HEADER.search(above[:_HEADER_SHOWS]):
            break
        found = position = _after_credits(text, match.end())
    return found


def _after_credits(text: str, position: int) -> int:
    """Return where the book starts below a header: after "Produced by ..." and the like."""
    while True:
        blanks = _BLANKS.match(text, position)
        first = blanks.end() if blanks else position
        stop = _PARAGRAPH_END.search(text, first, first + _LONGEST_CREDITS)
        if not stop or not CREDITS.match(text, first):
            return position
        position = stop.start()


def _before_closings(text: str, footers: Sequence[re.Match[str]], end: int) -> int:
    """Return where the book ends: before the footers that only a licence follows."""
    for footer in reversed(footers):
        if not _is_licence(text[footer.end() : end][: LONGEST_WRAPPER + 1].strip()):
            break
        end = footer.start()
    return end


def _is_licence(text: str) -> bool:
    """Return whether a text is empty or mentions licences throughout, so not part of the book."""
    if len(text) > LONGEST_WRAPPER:
        return False
    spoken = [0, *(match.end() for match in LICENCE.finditer(text)), len(text)]
    return not text or len(spoken) > 2 and max(map(operator.sub, spoken[1:], spoken)) < _LICENCE_GAP


def _offset_of_line(text: str, line: int) -> int:
    """Return where line number `line` starts, or the end of the text."""
    position = 0
    for _ in range(line):
        position = text.find("\n", position) + 1
        if not position:
            return len(text)
    return position
