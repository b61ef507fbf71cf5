"""The target of the source ``file``: from paths to one text."""

import difflib
import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_core.corpus import Corpus, SourceContext, decode_text
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.options import NoOptions
from charrnn_text.archives import read_file

_ANY_DEPTH_AGAIN = re.compile(r"(?<![^/])(?:\*\*/+)+")


def file(argument: str | None, options: NoOptions, context: SourceContext) -> Corpus:
    """The text of a file, of all files of a directory or a pattern, or of standard input.

    Arguments:
        argument: a path, a pattern with ``*``, ``**``, ``?`` or ``[...]``, or ``-``. Files are
            read in sorted order; hidden ones in a directory are left out.

    Raises:
        SourceError: nothing is there, or a file cannot be read or unpacked.
        CorpusError: a file is not UTF-8, or there is no text in any of them.
    """
    del options, context  # this source has no options and needs neither cache nor network
    if not argument:
        raise SourceError(
            f"{'file' if argument is None else 'file:'!r} names no file; expected file:PATH with "
            "a file, a directory, a pattern such as file:corpus/*.txt, or - for standard input"
        )
    if argument == "-":
        text, origin = decode_text(_standard_input(), "standard input"), "standard input"
    else:
        paths = find_files(argument)
        text = join_texts(decode_text(read_file(path), str(path)) for path in paths)
        origin = os.path.abspath(os.path.expanduser(argument))
    if not text:
        raise CorpusError(f"{origin} is empty; expected a text of at least one character")
    return Corpus(text=text, name=f"file:{argument}", origin=origin)


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


def join_texts(texts: Iterable[str]) -> str:
    """Texts one after another, each starting on a line of its own.

    >>> join_texts(["one", "", "two\\n", "three"])
    'one\\ntwo\\nthree'
    """
    parts: list[str] = []
    for text in texts:
        if text and parts and not parts[-1].endswith("\n"):
            parts.append("\n")
        if text:
            parts.append(text)
    return "".join(parts)


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


def _standard_input() -> bytes:
    if sys.stdin is None:  # a program without a console
        raise SourceError("file:- reads standard input, but there is none; use file:PATH")
    return sys.stdin.buffer.read()
