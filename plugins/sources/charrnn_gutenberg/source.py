"""The target of the source ``gutenberg``, which reads the text of a book by its number."""

import re
from pathlib import Path

from charrnn_core.download import Limits
from charrnn_core.downloaded import Downloaded, Found
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.files.regular import read_named
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_gutenberg import GutenbergOptions
from charrnn_gutenberg.download import download
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.mirrors import VARIABLE, candidates, mirrors
from charrnn_gutenberg.politeness import Pace
from charrnn_gutenberg.wrapper import remnants, strip_wrapper, trim_blank_lines

SCHEME = "gutenberg"
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")


def gutenberg(argument: str | None, options: GutenbergOptions, context: SourceContext) -> Corpus:
    """Read a book of Project Gutenberg.

    Arguments:
        argument: the book's number.
        options: whether to strip the wrapper and to refresh the cache.
        context: the cache, and whether we are offline.

    Raises:
        SourceError: the number is malformed, no mirror has the book, or none can be reached.
        CorpusError: the file is not text, or nothing of it remains.
        StorageError: the cache cannot be written.
    """
    number = book_number(argument)
    place = mirrors()
    if isinstance(place, Path):
        data, origin = _from_directory(place, number)
    else:
        data, origin = _from_mirrors(place, number, options.refresh, context)
    text = decode_book(data, origin)
    if options.strip:
        text = _without_wrapper(text, number, context)
    if not text.strip():
        raise CorpusError(f"{origin} is empty; choose another book than gutenberg:{number}")
    return Corpus(
        text=text,
        name=f"{SCHEME}:{number}",
        origin=origin,
        licence="public domain in the USA (Project Gutenberg)",
    )


def book_number(argument: str | None) -> int:
    """Read the argument of ``gutenberg:N``.

    Raises:
        SourceError: it is not the number of a book.

    >>> book_number("520")
    520
    """
    if argument is None or not _NUMBER.fullmatch(argument):
        got = SCHEME if argument is None else f"{SCHEME}:{argument}"
        raise SourceError(
            f"{got!r} does not name a book; expected gutenberg:N with N from 1 to 9999999, such as "
            "gutenberg:520; find the number of a book at https://www.gutenberg.org"
        )
    return int(argument)


def cached_book(cache: Path, number: int) -> Downloaded:
    """Return the place of a book in the cache."""
    return Downloaded(cache / SCHEME, f"{SCHEME}\0{number}")


def _from_mirrors(
    addresses: tuple[str, ...], number: int, refresh: bool, context: SourceContext
) -> tuple[bytes, str]:
    def ask(known: Found | None) -> Found:
        return download(number, addresses, Pace(context.cache / SCHEME), known, context.note)

    what, other_ways = f"{SCHEME}:{number}", f"set {VARIABLE} to a local mirror"
    found = cached_book(context.cache, number).get(what, context, refresh, ask, other_ways)
    return found.data, found.facts["final_url"]


def _from_directory(directory: Path, number: int) -> tuple[bytes, str]:
    most = Limits().size
    for relative in candidates(number):
        path = directory / relative
        try:
            if not path.is_file():
                continue
            return read_named(path, most), str(path)
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
    raise SourceError(
        f"the local mirror {directory} has no book {number}: looked for "
        f"{', '.join(candidates(number))}; check the number, or point {VARIABLE} elsewhere"
    )


def _without_wrapper(text: str, number: int, context: SourceContext) -> str:
    """Strip the wrapper; note which part of it was not found, and what may be left of it."""
    stripped = strip_wrapper(text)
    findings = []
    if not (stripped.start and stripped.end):
        lacking = "header" if stripped.end else "licence" if stripped.start else "wrapper"
        findings.append(f"found no {lacking} of Project Gutenberg to cut")
        if stripped.start or stripped.end:
            findings.append(f"the {'header' if stripped.start else 'licence'} was cut")
    if left := remnants(stripped.text):
        findings.append(f"left in {left}")
    if findings:
        context.note(
            f"note: gutenberg:{number}: {'; '.join(findings)}; check the text's start and end"
        )
    return trim_blank_lines(stripped.text)
