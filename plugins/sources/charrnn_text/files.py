"""The target of the source ``file``, which reads files as one text of any size."""

import difflib
import functools
import glob
import itertools
import os
import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.files.atomic import explained
from charrnn_core.terminal import tell_of_waiting
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_core.text.decode import TextDecoder, check_is_text
from charrnn_text import FileOptions
from charrnn_text.archives import read_file
from charrnn_text.inspection import suggest_tables, texts_among
from charrnn_text.places import absolute, wherever

LARGEST_TEXT = 1 << 24
"""Texts of up to this many characters are kept in memory, longer ones read again when needed."""

_CHUNK = 1 << 20
_BEGINNING = 1 << 16
_OPTION = "--source-opt "
_ANY_DEPTH_AGAIN = re.compile(r"(?<![^/])(?:\*\*/+)+")


def file(argument: str | None, options: FileOptions, context: SourceContext) -> Corpus:
    """Read a file, all files of a directory or a pattern, or standard input.

    Files that are not text are skipped in a directory or a pattern, with a note.

    Arguments:
        argument: a path, a pattern with ``*``, ``**``, ``?`` or ``[...]``, or ``-``. Files are
            read in sorted order; hidden ones in a directory are skipped.
        options: how to decode the files.
        context: may name a text that was read before; it is also looked for where it was then.

    Raises:
        SourceError: there is no such file, or one cannot be read or unpacked.
        CorpusError: a file is not text in that encoding, or there is no text in any of them.
    """
    if not argument:
        got = "file" if argument is None else "file:"
        raise SourceError(
            f"{got!r} does not name a file; expected file:PATH with a file, a directory, a pattern "
            "such as file:corpus/*.txt, or - for standard input"
        )
    if argument == "-":
        files = [("standard input", _standard_input(context))]
        return _corpus(argument, "standard input", files, options, context.note, once=True)
    return wherever("file", argument, context, lambda place: _at(place, options, context.note))


def _at(argument: str, options: FileOptions, note: Callable[[str], None]) -> Corpus:
    found = find_files(argument)
    if found != [Path(argument).expanduser()] and options.errors == "strict":
        found = texts_among(argument, found, note)
    suggest_tables(argument, found, note)
    files = [(str(path), partial(read_file, path)) for path in found]
    return _corpus(argument, absolute(argument), files, options, note)


def _corpus(
    argument: str,
    origin: str,
    files: Sequence[tuple[str, Callable[[], Iterable[bytes]]]],
    options: FileOptions,
    note: Callable[[str], None],
    once: bool = False,
) -> Corpus:
    """Join the files into one text, in memory unless it is long."""
    pieces, text = Texts(origin if once else argument, files, options, note), ""
    about: dict[str, Any] = {"name": f"file:{argument}", "origin": origin, "once": once}
    for piece in pieces():
        text += piece
        if len(text) > LARGEST_TEXT:
            return Corpus(pieces=pieces, **about)
    if not text:
        raise CorpusError(f"{origin} is empty; expected a text of at least one character")
    return Corpus(text=text, **about)


class Texts:
    """The texts of files joined into one, each beginning on a new line; a call yields its pieces.

    Arguments:
        name: the name of the whole in notes.
        files: the name of each file, and a function that reads its bytes in pieces.
        options: how to decode the bytes.
        note: called once, after everything was read, about changed line ends and NULs.

    >>> files = [("a", lambda: [b"o", b"ne\\r"]), ("b", lambda: []), ("c", lambda: [b"two"])]
    >>> list(Texts("all", files, FileOptions(), print)())
    note: all: 1 CR were read as line ends LF (keep them with --source-opt newlines=keep)
    ['one', '\\n', 'two']
    """

    def __init__(
        self,
        name: str,
        files: Sequence[tuple[str, Callable[[], Iterable[bytes]]]],
        options: FileOptions,
        note: Callable[[str], None],
    ) -> None:
        self.name, self.files, self.options, self.note = name, files, options, note
        self._told = False

    def __call__(self) -> Iterator[str]:
        """Yield the whole text from the start, in pieces."""
        crlf = cr = nuls = 0
        line_ended = True
        for origin, read in self.files:
            decoder = self._decoder(origin)
            begun = False
            for piece in self._decoded(decoder, read()):
                if not begun and not line_ended:
                    yield "\n"
                begun, line_ended = True, piece.endswith("\n")
                yield piece
            crlf, cr, nuls = crlf + decoder.crlf, cr + decoder.cr, nuls + decoder.nuls
        if not self._told:
            self._told = True
            self._tell(crlf, cr, nuls)

    def _decoder(self, origin: str) -> TextDecoder:
        options = self.options
        return TextDecoder(origin, options.newlines, options.errors, options.encoding, _OPTION)

    def _decoded(self, decoder: TextDecoder, pieces: Iterable[bytes]) -> Iterator[str]:
        pieces, beginning = iter(pieces), b""
        while len(beginning) < _BEGINNING and (piece := next(pieces, b"")):
            beginning += piece
        if self.options.errors != "escape":
            check_is_text(beginning, decoder.origin, self.options.encoding, _OPTION)
        yield from filter(None, map(decoder.feed, itertools.chain([beginning], pieces)))
        yield from filter(None, (decoder.end(),))

    def _tell(self, crlf: int, cr: int, nuls: int) -> None:
        counts = [f"{n:,} {what}" for n, what in ((crlf, "CR LF"), (cr, "CR")) if n]
        if counts:
            self.note(
                f"note: {self.name}: {' and '.join(counts)} were read as line ends LF "
                "(keep them with --source-opt newlines=keep)"
            )
        if nuls and self.options.errors != "escape":
            self.note(
                f"note: {self.name}: {nuls:,} of the characters are NUL, which is unusual in text: "
                f"check that it is text in {self.options.encoding} (set another encoding with "
                "--source-opt encoding=NAME)"
            )


def find_files(argument: str) -> list[Path]:
    """Return the files that a path or a pattern stands for, sorted; at least one.

    Raises:
        SourceError: there is no such file; suggests the nearest name in its directory.
    """
    path = Path(argument)
    try:
        path = path.expanduser()
        if path.is_dir():
            found = list(_files_below(path))
        elif path.exists():
            return [path]
        elif any(symbol in argument for symbol in "*?["):
            # For "**/**" glob would find every file many times, and take as many times longer.
            pattern = _ANY_DEPTH_AGAIN.sub("**/", _pattern(path))
            found = {Path(match) for match in glob.iglob(pattern, recursive=True)}
            found = [match for match in found if match.is_file()]
        else:
            raise SourceError(f"file {str(path)!r} not found{_nearest(path)}")
    except (OSError, ValueError, RuntimeError) as error:
        # A name too long, no permission, a null byte, an unknown user, a pattern too deep.
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot look for {argument!r}: {reason}") from error
    if not found:
        what = "contains no files" if path.is_dir() else "matches no files"
        raise SourceError(f"{argument!r} {what}; expected at least one text file")
    return sorted(found)


def _pattern(path: Path) -> str:
    """Return a pattern for glob, in which existing folders stand for themselves."""
    known, parts = Path(path.anchor), list(path.parts[bool(path.anchor) :])
    while parts and os.path.lexists(known / parts[0]):
        known /= parts.pop(0)
    return os.path.join(glob.escape(str(known)), *parts)


def _files_below(directory: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:  # by default os.walk silently skips what it cannot list
        raise error

    for parent, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _nearest(path: Path) -> str:
    """Return a hint at what may have been meant by a path that does not exist."""
    if not path.parent.is_dir():
        return f", nor its directory {str(path.parent)!r}"
    nearest = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    return f"; did you mean {str(path.parent / nearest[0])!r}?" if nearest else "; check the path"


def _standard_input(context: SourceContext) -> Callable[[], Iterator[bytes]]:
    """Return a function that reads standard input, any number of times."""
    if sys.stdin is None:  # a program without a console
        raise SourceError("file:- reads standard input, but there is none; use file:PATH")
    again = "the run has kept no copy of its text, which came from standard input"
    if context.known is not None:
        if sys.stdin.isatty():
            raise SourceError(
                f"{again}: pipe the same text into this command again, as with < FILE, or say "
                "where it is now with --source"
            )
        context.note(f"note: {again}; reading it from there again")
    tell_of_waiting(sys.stdin, "the text", context.note)
    return _kept(sys.stdin)


@functools.lru_cache(maxsize=1)
def _kept(stream: TextIO) -> Callable[[], Iterator[bytes]]:
    """Copy a stream to a temporary file; return a function that reads it, any number of times."""
    kept = tempfile.SpooledTemporaryFile(max_size=LARGEST_TEXT)
    with explained("keep standard input in", tempfile.gettempdir()):
        shutil.copyfileobj(stream.buffer, kept, _CHUNK)

    def read() -> Iterator[bytes]:
        kept.seek(0)
        yield from iter(lambda: kept.read(_CHUNK), b"")

    weakref.finalize(read, kept.close)
    return read
