"""Look at files before they are read: skip those that are not text, recognise tables."""

import shlex
from collections.abc import Callable
from pathlib import Path

from charrnn_core.errors import CorpusError
from charrnn_core.text.recognition import is_binary, kind_of_file, wide_encoding
from charrnn_text.archives import read_file

_SHOWN = 3


def texts_among(argument: str, paths: list[Path], note: Callable[[str], None]) -> list[Path]:
    """Return the files that are text, among those that a directory or a pattern matched.

    Text in another encoding is kept, because skipping it would lose it silently; reading it later
    raises an error that says what to do.

    Arguments:
        argument: the directory or pattern.
        paths: the files it matched.
        note: called with the number of files skipped.

    Raises:
        SourceError: one cannot be read or unpacked.
        CorpusError: none of them is text.
    """
    others = [path for path in paths if is_no_text(next(iter(read_file(path)), b""))]
    if not others:
        return paths
    shown = ", ".join(str(path) for path in others[:_SHOWN])
    more = f", and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
    if len(others) == len(paths):
        raise CorpusError(
            f"none of the {len(paths):,} files of {argument!r} is text: {shown}{more}"
        )
    note(
        f"note: {argument}: skipping {len(others):,} of {len(paths):,} files, which are not text: "
        f"{shown}{more}"
    )
    return sorted({*paths} - {*others})


def is_no_text(beginning: bytes) -> bool:
    """Return whether a file that begins like this is not text in any encoding.

    >>> is_no_text(b"\\x7fELF\\2\\1\\1\\0"), is_no_text(b"caf\\xe9"), is_no_text(b"")
    (True, False, False)
    """
    if kind_of_file(beginning):
        return True
    return is_binary(beginning) and wide_encoding(beginning) is None


def suggest_tables(argument: str, paths: list[Path], note: Callable[[str], None]) -> None:
    """Note which source to use for tables that are about to be read verbatim."""
    for source, suffixes, what, markup in (
        ("jsonl", {".jsonl", ".ndjson"}, "FIELD", "braces, names and escapes"),
        ("csv", {".csv", ".tsv"}, "COLUMN", "all columns"),
    ):
        if all(suffixes.intersection(map(str.lower, path.suffixes)) for path in paths):
            spec = shlex.quote(f"{source}:{argument}#{what}")
            note(
                f"note: {argument} is read verbatim, with {markup}; to read only the text: "
                f"--source {spec}"
            )
