"""What files seem to be before they are read: no text at all, or tables."""

import shlex
from collections.abc import Callable
from pathlib import Path

from charrnn_core.errors import CorpusError
from charrnn_core.text.recognition import is_binary, kind_of_file, wide_encoding
from charrnn_text.archives import read_file

_SHOWN = 3


def texts_among(argument: str, paths: list[Path], note: Callable[[str], None]) -> list[Path]:
    """The files that are text, of those that a directory or a pattern found.

    Text in another encoding stays, since leaving it out would lose it; reading it says what to do.

    Arguments:
        note: is told how many others there are.

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
        f"note: {argument}: {len(others):,} of {len(paths):,} files are no text and are left out: "
        f"{shown}{more}"
    )
    return sorted({*paths} - {*others})


def is_no_text(beginning: bytes) -> bool:
    """Whether a file that begins like this has no text in any encoding.

    >>> is_no_text(b"\\x7fELF\\2\\1\\1\\0"), is_no_text(b"caf\\xe9"), is_no_text(b"")
    (True, False, False)
    """
    if kind_of_file(beginning):
        return True
    return is_binary(beginning) and wide_encoding(beginning) is None


def suggest_tables(argument: str, paths: list[Path], note: Callable[[str], None]) -> None:
    """Say which source reads a part of tables that are about to be read as they stand."""
    for source, suffixes, what, markup in (
        ("jsonl", {".jsonl", ".ndjson"}, "FIELD", "braces, names and escapes"),
        ("csv", {".csv", ".tsv"}, "COLUMN", "all columns"),
    ):
        if all(suffixes.intersection(map(str.lower, path.suffixes)) for path in paths):
            spec = shlex.quote(f"{source}:{argument}#{what}")
            note(
                f"note: {argument} is read as it stands, with {markup}; to read the text alone: "
                f"--source {spec}"
            )
