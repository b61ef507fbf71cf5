"""The target of the source ``file``: from paths to one text, which may be of any size."""

import difflib
import glob
import os
import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from charrnn_core.corpus import Corpus, SourceContext
from charrnn_core.decoding import TextDecoder
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.storage import explained
from charrnn_text import FileOptions
from charrnn_text.archives import read_file
from charrnn_text.inspection import suggest_tables, texts_among

LARGEST_TEXT = 1 << 24
"""Characters of the longest text that is kept in memory; longer ones are read again as needed."""

_CHUNK = 1 << 20
_ANY_DEPTH_AGAIN = re.compile(r"(?<![^/])(?:\*\*/+)+")


def file(argument: str | None, options: FileOptions, context: SourceContext) -> Corpus:
    """The text of a file, of all files of a directory or a pattern, or of standard input.

    Arguments:
        argument: a path, a pattern with ``*``, ``**``, ``?`` or ``[...]``, or ``-``. Files are
            read in sorted order; hidden ones in a directory are left out.

    Of a directory or a pattern, files that are no text are left out, with a note.

    Raises:
        SourceError: nothing is there, or a file cannot be read or unpacked.
        CorpusError: a file is not UTF-8, or there is no text in any of them.
    """
    if not argument:
        raise SourceError(
            f"{'file' if argument is None else 'file:'!r} names no file; expected file:PATH with "
            "a file, a directory, a pattern such as file:corpus/*.txt, or - for standard input"
        )
    if argument == "-":
        files = [("standard input", _standard_input())]
        name = origin = "standard input"
    else:
        found = find_files(argument)
        if found != [Path(argument).expanduser()] and options.errors == "strict":
            found = texts_among(argument, found, context.note)
        suggest_tables(argument, found, context.note)
        files = [(str(path), partial(read_file, path)) for path in found]
        name, origin = argument, os.path.abspath(os.path.expanduser(argument))
    pieces, text = Texts(name, files, options, context.note), ""
    for piece in pieces():
        text += piece
        if len(text) > LARGEST_TEXT:
            return Corpus(pieces=pieces, name=f"file:{argument}", origin=origin)
    if not text:
        raise CorpusError(f"{origin} is empty; expected a text of at least one character")
    return Corpus(text=text, name=f"file:{argument}", origin=origin)


class Texts:
    """Texts one after another, each starting on a line of its own; a call reads them in pieces.

    Arguments:
        name: what notes call all of them.
        files: for each its name, and a function that reads its bytes in pieces.
        options: how bytes become text.
        note: is told once, after all was read, how many line ends were changed.

    >>> files = [("a", lambda: [b"o", b"ne\\r"]), ("b", lambda: []), ("c", lambda: [b"two"])]
    >>> list(Texts("all", files, FileOptions(), print)())
    note: all: 1 CR were read as line ends LF (keep them with --source-opt newlines=keep)
    ['o', 'ne', '\\n', 'two']
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
        """Read all of it, from the start."""
        crlf = cr = 0
        line_ended = True
        for origin, read in self.files:
            decoder = TextDecoder(origin, self.options.newlines, self.options.errors)
            begun = False
            for piece in _decoded(decoder, read()):
                if not begun and not line_ended:
                    yield "\n"
                begun, line_ended = True, piece.endswith("\n")
                yield piece
            crlf, cr = crlf + decoder.crlf, cr + decoder.cr
        if (crlf or cr) and not self._told:
            self._told = True
            counts = [f"{n:,} {what}" for n, what in ((crlf, "CR LF"), (cr, "CR")) if n]
            self.note(
                f"note: {self.name}: {' and '.join(counts)} were read as line ends LF "
                "(keep them with --source-opt newlines=keep)"
            )


def _decoded(decoder: TextDecoder, pieces: Iterable[bytes]) -> Iterator[str]:
    yield from filter(None, map(decoder.feed, pieces))
    yield from filter(None, (decoder.end(),))


def find_files(argument: str) -> list[Path]:
    """The files that a path or a pattern stands for, sorted; never none.

    Raises:
        SourceError: there is no such file; the nearest name in its directory is shown.
    """
    path = Path(argument)
    try:
        path = path.expanduser()
        if path.is_dir():
            found = list(_files_below(path))
        elif path.exists():
            return [path]
        elif any(symbol in argument for symbol in "*?["):
            # Of "**/**" glob finds every file many times over, and takes as many times as long.
            pattern = _ANY_DEPTH_AGAIN.sub("**/", str(path))
            found = {Path(match) for match in glob.iglob(pattern, recursive=True)}
            found = [match for match in found if match.is_file()]
        else:
            raise SourceError(f"there is no file {str(path)!r}{_nearest(path)}")
    except (OSError, ValueError, RuntimeError) as error:
        # A name too long, a forbidden directory, a null byte, an unknown user, a pattern too deep.
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot look for {argument!r}: {reason}") from error
    if not found:
        what = "holds no files" if path.is_dir() else "matches no files"
        raise SourceError(f"{argument!r} {what}; expected at least one text file")
    return sorted(found)


def _files_below(directory: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:  # os.walk skips what it cannot list; silence would hide it
        raise error

    for parent, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _nearest(path: Path) -> str:
    """A hint at what may have been meant instead of a path that does not exist."""
    if not path.parent.is_dir():
        return f": there is no directory {str(path.parent)!r} either"
    nearest = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    return f"; did you mean {str(path.parent / nearest[0])!r}?" if nearest else "; check the path"


def _standard_input() -> Callable[[], Iterator[bytes]]:
    """A function that reads again what standard input had, which is kept in a temporary file."""
    if sys.stdin is None:  # a program without a console
        raise SourceError("file:- reads standard input, but there is none; use file:PATH")
    kept = tempfile.SpooledTemporaryFile(max_size=LARGEST_TEXT)
    with explained("keep standard input in", tempfile.gettempdir()):
        shutil.copyfileobj(sys.stdin.buffer, kept, _CHUNK)

    def read() -> Iterator[bytes]:
        kept.seek(0)
        yield from iter(lambda: kept.read(_CHUNK), b"")

    weakref.finalize(read, kept.close)
    return read
