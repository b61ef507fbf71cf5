"""Mojibake: UTF-8 that was once decoded as Windows-1252 or Latin-1. Standard library only.

Such a text has "Ã©" for "é". A line is taken for mojibake if encoding it again gives valid UTF-8,
and that something that people write. In genuine text it does not: a single accented letter on the
line makes the bytes invalid.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_CONTINUES = "".join(
    sorted(
        {chr(byte) for byte in range(0x80, 0xC0)}
        | set(bytes(range(0x80, 0xA0)).decode("cp1252", "ignore"))
    )
)
"""The characters that a byte 0x80 to 0xBF, which continues a character, may have become."""

_SUSPECT = re.compile(f"[Â-ß][{_CONTINUES}]|[à-ï][{_CONTINUES}]{{2}}|[ð-ô][{_CONTINUES}]{{3}}")
_BYTES = {
    ord(bytes([byte]).decode("cp1252")): chr(byte) for byte in bytes(_CONTINUES, "cp1252", "ignore")
}
"""The characters of Windows-1252 beyond Latin-1, with those of the same bytes in Latin-1."""

_USUAL = re.compile("[\xa0-\u017f\u2010-\u2044\u20ac\u2122\u2190-\u21ff\u2212\ufeff\ufffd]")
"""What is among Latin letters: accented ones, punctuation, some signs."""

_FEWEST = 3
"""Of other characters, a letter and a closing quotation mark may make one by chance."""


class Mojibake(NamedTuple):
    """A line of mojibake.

    Fields:
        start: where it begins in the text.
        line: as it is.
        mended: as it was meant.
    """

    start: int
    line: str
    mended: str


def find_mojibake(text: str) -> Iterator[Mojibake]:
    """Yield the lines of a text that are mojibake.

    >>> [found.mended for found in find_mojibake("cafÃ© au lait\\nCAFÉ” au lait")]
    ['café au lait']
    """
    if text.isascii():
        return
    position = 0
    while suspect := _SUSPECT.search(text, position):
        start = text.rfind("\n", 0, suspect.start()) + 1
        end = text.find("\n", suspect.end())
        position = end if end >= 0 else len(text)
        line = text[start:position]
        mended = _mended(line)
        if mended is not None:
            yield Mojibake(start, line, mended)


def _mended(line: str) -> str | None:
    """Return what a line was meant to be; None if it is what it was meant to be."""
    try:
        mended = line.translate(_BYTES).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    made = [symbol for symbol in mended if not symbol.isascii()]
    others = [symbol for symbol in made if not _USUAL.match(symbol)]
    if others and (len(others) < _FEWEST or not all(map(_is_written, others))):
        return None
    return mended


def _is_written(symbol: str) -> bool:
    return unicodedata.category(symbol)[0] in "LMNPS"
