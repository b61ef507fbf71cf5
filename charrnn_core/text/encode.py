"""From a text and an alphabet to ids: in memory, or mapped from a file in the cache."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from charrnn_core.errors import CorpusError, StorageError
from charrnn_core.files.atomic import (
    cache_directory,
    explained,
    locked,
    make_directory,
    remove_temporaries,
)
from charrnn_core.terminal import to_stderr
from charrnn_core.text.alphabet import Alphabet, Ids
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.mapped import open_ids, write_ids

IN_MEMORY = 1 << 24
"""Texts of up to this many characters are encoded in memory, longer ones into a file."""

_KEPT_SECONDS = 30 * 24 * 3600
"""How long unused ids are kept."""


def encode_corpus(
    corpus: Corpus,
    alphabet: Alphabet,
    unknown: str = "error",
    note: Callable[[str], None] = to_stderr,
) -> Ids:
    """Return the ids of a whole text, in the smallest unsigned type that holds them.

    The ids of a long text are mapped from a file in the cache directory, which is written when the
    text is first used with this alphabet, and verified every time it is used again.

    Arguments:
        corpus: the text.
        alphabet: the alphabet.
        unknown: what to do with characters outside the alphabet: ``"error"`` or ``"skip"``.
        note: called with a line when such a file is written, or is damaged.

    Raises:
        UnknownSymbolError: the text has characters the alphabet lacks; they are listed.
        CorpusError: the text changed while it was being read.
        StorageError: the cache cannot be written.

    >>> corpus = Corpus(text="ho ho", name="laugh", origin="nowhere")
    >>> ids = encode_corpus(corpus, Alphabet.of(corpus.symbols))
    >>> ids.tolist(), ids.dtype
    ([1, 2, 0, 1, 2], dtype('uint8'))
    """
    alphabet.encode(corpus.symbols, unknown)  # reports all missing symbols at once
    pieces = (alphabet.encode(piece, unknown, alphabet.dtype) for piece in corpus.read_again())
    if corpus.characters <= IN_MEMORY:
        return np.concatenate([np.empty(0, alphabet.dtype), *pieces])
    # `unknown` is not in the key: a cached file was encoded with "skip", or had nothing to skip.
    subject = json.dumps([corpus.sha256, alphabet.table()])
    place = _Place(cache_directory() / "ids", hashlib.sha256(subject.encode()).digest())
    about = f"note: encoding the {corpus.characters:,} characters of {corpus.origin} once, into"
    return place.ids(pieces, about, note)


class _Place:
    """The place of the ids of one text in one alphabet."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self.key = key
        self.cache = directory
        self.directory = directory / key.hex()[:32]
        self.file = self.directory / "ids.crni"

    def ids(self, pieces: Iterable[Ids], about: str, note: Callable[[str], None]) -> Ids:
        """Return the ids kept here; if there are none, keep `pieces` and return them."""
        # First without the lock, which also works in a read-only cache.
        if (found := self._kept(lambda line: None)) is not None:
            return found
        try:
            make_directory(self.directory)
            with locked(self.directory / "lock"):
                # Another process may have just written them.
                if (found := self._kept(note)) is None:
                    note(f"{about} {self.file}")
                    self._make_room()
                    write_ids(self.file, self.key, pieces)
                    found = open_ids(self.file, self.key)
                return found
        except StorageError as error:
            raise StorageError(f"{error}; set CHARRNN_CACHE to move the cache") from error.__cause__

    def _kept(self, note: Callable[[str], None]) -> Ids | None:
        """Return the ids, or None if they are absent or damaged."""
        try:
            ids = open_ids(self.file, self.key)
        except CorpusError as error:
            note(f"note: {error}; recreating it")
            return None
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        with contextlib.suppress(OSError):  # a read-only cache
            os.utime(self.file)
        return ids

    def _make_room(self) -> None:
        """Remove the leftovers of killed writers, and ids unused for a long time."""
        remove_temporaries(self.directory)
        with explained("read", self.cache):
            others = [place for place in self.cache.iterdir() if place != self.directory]
        for place in others:
            # A holder of the lock is writing; what cannot be removed may stay.
            with contextlib.suppress(OSError, StorageError, TimeoutError):
                with locked(place / "lock", timeout=0):
                    remove_temporaries(place)
                    file = place / self.file.name
                    if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                        file.unlink()
