"""Join the rows of a table into one text, in which each row is a document."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from charrnn_core.errors import CorpusError, SourceError, UnknownNameError
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.decode import TextDecoder
from charrnn_text.archives import read_file
from charrnn_text.files import LARGEST_TEXT

LONGEST_LINE = 1 << 26
"""The most characters in a line of a table; a file that is not a table may have no line end."""

_PIECE = 1 << 17
_SEPARATORS = {"\n": "lines", "\n\n": "blank", "\n\n\n": "\n\n\n", "\x1e": "\x1e"}
"""The possible separators of rows, with their names in the setting ``documents``."""

_LONE = re.compile("[\ud800-\udfff]")
_MOST_SHOWN, _LONGEST_SHOWN = 20, 60

Rows = Iterator[str | None]
"""The text of each row; None for a row without text."""


def rows_corpus(
    name: str, origin: str, read: Callable[[], Rows], note: Callable[[str], None]
) -> Corpus:
    """Join rows into a text; each ends in a separator that no row contains, a line end if possible.

    Line ends around a row's text are stripped, those inside become line feeds. Half a surrogate
    pair, which JSON can contain, is read as U+FFFD.

    Arguments:
        name, origin: as for `Corpus`.
        read: reads the rows from the first one.
        note: called with the number of rows without text, and of characters replaced.

    Raises:
        CorpusError: no row has any text.

    >>> rows = ["one\\ntwo", None, "three\\r\\n"]
    >>> corpus = rows_corpus("a test", "here", lambda: iter(rows), print)
    note: a test: 1 of 3 rows have no text and are skipped
    >>> corpus.text, corpus.documents
    ('one\\ntwo\\n\\nthree\\n\\n', 'blank')
    """
    rows = empty = replaced = characters = 0
    left = list(_SEPARATORS)
    for row in read():
        rows += 1
        text = _cleaned(row)
        empty += not text
        replaced += len(_LONE.findall(row or ""))
        characters += len(text)
        left = [separator for separator in left if separator not in text]
        if not left:
            raise CorpusError(
                f"{origin}: rows up to row {rows} contain one, two and three line feeds in a row "
                "and the character U+001E, so nothing is left to separate documents; remove one of "
                "these"
            )
    if rows == empty:
        raise CorpusError(f"{origin} is empty: none of its {rows} rows has any text")
    if empty:
        note(f"note: {name}: {empty:,} of {rows:,} rows have no text and are skipped")
    if replaced:
        note(f"note: {name}: {replaced:,} halves of surrogate pairs were read as U+FFFD")
    pieces, documents = partial(_pieces, read, left[0]), _SEPARATORS[left[0]]
    if characters > LARGEST_TEXT:
        return Corpus(pieces=pieces, name=name, origin=origin, documents=documents)
    return Corpus(text="".join(pieces()), name=name, origin=origin, documents=documents)


def _cleaned(row: str | None) -> str:
    """Return a row as it appears in the text; empty if it is blank."""
    text = _LONE.sub("\ufffd", row or "").replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return text if text.strip() else ""


def _pieces(read: Callable[[], Rows], separator: str) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for text in filter(None, map(_cleaned, read())):
        held += (text, separator)
        size += len(text)
        if size > _PIECE:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file, each with its line feed; unpacked if its name says so.

    Raises:
        SourceError: it cannot be read or unpacked, or a line is too long.
        CorpusError: it is not UTF-8.
    """
    decoder, held, number = TextDecoder(str(path)), "", 1
    for piece in chain(map(decoder.feed, read_file(path)), map(decoder.end, (b"",))):
        *lines, held = (held + piece).split("\n")
        for line in lines:
            yield f"{line}\n"
        number += len(lines)
        if len(held) > LONGEST_LINE:
            raise SourceError(f"{path}: line {number} has more than {LONGEST_LINE} characters")
    if held:
        yield held


def unknown_name(what: str, path: Path, name: str, known: list[str]) -> UnknownNameError:
    """Return the error that a table has no such name; it lists the names there are."""
    return UnknownNameError(f"{what} of {path}", name, map(shown_name, known[:_MOST_SHOWN]))


def shown_name(name: str) -> str:
    """Return a name from a table as a message shows it.

    >>> shown_name("text"), shown_name("two\\nlines")
    ('text', "'two\\\\nlines'")
    """
    return (name if name.isprintable() else repr(name))[:_LONGEST_SHOWN]
