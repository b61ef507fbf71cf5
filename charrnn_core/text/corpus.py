"""`Corpus`, a text and its origin, and what a source gets to read one."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from charrnn_core.errors import CorpusError
from charrnn_core.public import public

_PIECE = 1 << 20
"""The most characters in a piece, which bounds the memory to process one."""

_ASCII, _NOT_ASCII = bytes(range(128)), bytes(range(128, 256))


@dataclass(frozen=True)
class Known:
    """The identity of a text that was read before and is wanted again.

    Arguments:
        origin: where it came from last time.
        sha256: the digest of the text in UTF-8, in hexadecimal.
    """

    origin: str
    sha256: str


@public
@dataclass(frozen=True)
class SourceContext:
    """What the core provides to a corpus source.

    Arguments:
        cache: a directory for downloads; it may not exist yet.
        offline: when true, open no socket.
        note: shows the user one line, such as what is being downloaded.
        known: the text that was read before and is wanted again; None for a first read.
    """

    cache: Path
    offline: bool = False
    note: Callable[[str], None] = lambda line: None
    known: Known | None = None


@dataclass(frozen=True)
class _Facts:
    """Facts about a text that take one pass over it."""

    sha256: str
    characters: int
    symbols: str


@public
@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text and where it came from.

    Arguments:
        text: the text itself, without wrappers such as licences.
        pieces: instead of `text`, for texts that may not fit in memory: a function that reads the
            text from its start, piece by piece (some 100,000 characters each).
        name: a short name for listings, such as ``"gutenberg:520"``.
        origin: where the text came from: an address or a path.
        licence: its licence, where known.
        documents: the separator of its documents, as in the setting ``documents``; a run that sets
            none uses this one.
        once: whether it can be read only once, like standard input; a run then keeps a copy.

    Raises:
        CorpusError: both `text` and `pieces` are given, or neither is.

    >>> Corpus(text="ho ho ho", name="laugh", origin="nowhere").sha256[:8]
    'ccc3ed32'
    >>> corpus = Corpus(pieces=lambda: iter(["ho h", "o ho"]), name="laugh", origin="nowhere")
    >>> corpus.sha256[:8], corpus.characters, corpus.symbols
    ('ccc3ed32', 8, ' ho')
    """

    text: str | None = field(default=None, repr=False)
    pieces: Callable[[], Iterable[str]] | None = field(default=None, repr=False)
    name: str
    origin: str
    licence: str | None = None
    documents: str | None = None
    once: bool = False

    def __post_init__(self) -> None:
        if (self.text is None) == (self.pieces is None):
            raise CorpusError(f"corpus {self.name!r} needs either text or pieces, and not both")

    @property
    def sha256(self) -> str:
        """The digest of the text in UTF-8, in hexadecimal."""
        return self._facts.sha256

    @property
    def characters(self) -> int:
        """The number of characters in the text."""
        return self._facts.characters

    @property
    def symbols(self) -> str:
        """The distinct characters of the text, in order of code points."""
        return self._facts.symbols

    def read(self) -> Iterator[str]:
        """Yield the text from its start, in pieces of bounded size."""
        for piece in self.pieces() if self.pieces is not None else (self.text or "",):
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]

    def read_again(self) -> Iterator[str]:
        """Yield the text again, and check that it is the one that was read before.

        Raises:
            CorpusError: at the end, if it has changed.
        """
        digest, known = hashlib.sha256(), self.sha256
        for piece in self.read():
            digest.update(_utf8(piece))
            yield piece
        if digest.hexdigest() != known:
            raise CorpusError(
                f"{self.origin} changed while it was being read; try again once it is complete"
            )

    @cached_property
    def _facts(self) -> _Facts:
        digest, characters, ascii_symbols, others = hashlib.sha256(), 0, b"", set[str]()
        for piece in self.read():
            data = _utf8(piece)
            digest.update(data)
            characters += len(piece)
            # A set of all characters would take ten times as long as everything else here.
            ascii_symbols += bytes(set(data.translate(None, ascii_symbols + _NOT_ASCII)))
            if len(data) > len(piece):
                others |= set(data.translate(None, _ASCII).decode("utf-8", "surrogatepass"))
        symbols = "".join(sorted({*ascii_symbols.decode("ascii"), *others}))
        return _Facts(digest.hexdigest(), characters, symbols)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
