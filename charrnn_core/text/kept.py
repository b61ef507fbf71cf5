"""A copy in the run directory of a text that its source can deliver only once."""

import codecs
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.files.atomic import explained, sha256, write_atomically
from charrnn_core.files.regular import own
from charrnn_core.text.corpus import Corpus

KEPT_BYTES = 1 << 26
"""The size in UTF-8 of the longest text that is kept: 64 MiB."""

KEPT_NAME = "kept-text.txt"
_IN_MEMORY = 1 << 24
_CHUNK = 1 << 20


def keep_text(directory: Path, corpus: Corpus, note: Callable[[str], None]) -> None:
    """Keep a copy of a text that can be read only once, unless it is too long.

    Arguments:
        directory: the directory of the run.
        corpus: the text.
        note: called with a line if it is too long.

    Raises:
        StorageError: it cannot be written.
    """
    if not corpus.once:
        return
    size = 0
    for piece in _utf8(corpus):
        size += len(piece)
        if size > KEPT_BYTES:
            note(
                f"note: {corpus.origin} has more than {KEPT_BYTES >> 20} MiB, so the run keeps no "
                "copy of it: to resume this run, pipe in the same text again"
            )
            return
    write_atomically(directory / KEPT_NAME, _utf8(corpus))


def read_kept(
    directory: Path, record: Mapping[str, Any], note: Callable[[str], None]
) -> Corpus | None:
    """Read the text that a run has kept; return None if it has kept none.

    Arguments:
        directory: the directory of the run.
        record: the checkpoint's record of its text.
        note: called with a line if the file is not that text.

    Raises:
        StorageError: it cannot be read, or is a link or not a regular file.
    """
    path = directory / KEPT_NAME
    if not os.path.lexists(path):
        return None
    with explained("read", path), open(path, "rb", opener=own) as file:
        data = file.read(KEPT_BYTES + 1)
    about = {"name": record["name"], "origin": record["origin"], "licence": record["licence"]}
    if sha256(data) != record["sha256"]:
        note(f"note: {path} is not the text that the run was trained on, so it is ignored")
        return None
    if len(data) <= _IN_MEMORY:
        return Corpus(text=data.decode("utf-8", "surrogatepass"), **about)
    return Corpus(pieces=lambda: _pieces(path), **about)


def _utf8(corpus: Corpus) -> Iterator[bytes]:
    return (piece.encode("utf-8", "surrogatepass") for piece in corpus.read())


def _pieces(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    with explained("read", path), open(path, "rb", opener=own) as file:
        while data := file.read(_CHUNK):
            yield decoder.decode(data)
