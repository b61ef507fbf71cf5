"""Text as data: a `Corpus` from a source, its `Alphabet`, and the `Split` into parts."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CorpusError, UnknownNameError, UnknownSymbolError

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class SourceContext:
    """What the core lends a corpus source.

    Arguments:
        cache: a directory to keep downloads in; it may not exist yet.
        offline: when true, open no socket.
        note: tells the user one line, such as what is being downloaded.
    """

    cache: Path
    offline: bool = False
    note: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Corpus:
    """A text and where it came from.

    Arguments:
        text: the text itself, without wrappers such as licences.
        name: a short name for listings, such as ``"gutenberg:520"``.
        origin: where the text came from: an address or a path.
        licence: its licence, where known.

    >>> Corpus(text="ho ho ho", name="laugh", origin="nowhere").sha256[:8]
    'ccc3ed32'
    """

    text: str = field(repr=False)
    name: str
    origin: str
    licence: str | None = None

    @cached_property
    def sha256(self) -> str:
        """The digest of the text in UTF-8, in hexadecimal."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


def decode_text(data: bytes, origin: str) -> str:
    """Read UTF-8 bytes as text: no byte-order mark, and every line ends in a line feed.

    Raises:
        CorpusError: the bytes are not UTF-8; the message has the offset of the first bad byte.

    >>> decode_text(b"\\xef\\xbb\\xbfone\\r\\ntwo\\rthree", "a test")
    'one\\ntwo\\nthree'
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{origin} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}; "
            "convert it first, for example with: iconv -f latin1 -t utf-8"
        ) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class Alphabet:
    """The ordered set of symbols: characters to ids and back.

    Arguments:
        symbols: the characters, without repetition. `of` sorts them by code point.

    >>> alphabet = Alphabet.of("ho ho")
    >>> alphabet.symbols, alphabet.encode("oh").tolist(), alphabet.decode([0, 2])
    (' ho', [2, 1], ' o')
    """

    def __init__(self, symbols: str) -> None:
        self.symbols = symbols
        points = _code_points(symbols)
        self._order = np.argsort(points, kind="stable").astype(np.int32)
        self._sorted = points[self._order]
        if len(np.unique(points)) != len(points):
            raise CorpusError(f"an alphabet cannot repeat symbols; got {symbols!r}")

    @classmethod
    def of(cls, text: str) -> "Alphabet":
        """The alphabet of a text, in order of code points."""
        return cls(_text(np.unique(_code_points(text))))

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Alphabet({self.symbols!r})"

    def encode(self, text: str, unknown: str = "error") -> Ids:
        """Characters to ids: int32[N].

        Arguments:
            unknown: what to do with characters outside the alphabet: ``"error"`` or ``"skip"``.

        Raises:
            UnknownSymbolError: the text has characters the alphabet lacks; they are listed.
        """
        points = _code_points(text)
        where = np.searchsorted(self._sorted, points)
        found = np.take(self._sorted, where, mode="clip") == points if len(self) else points < 0
        if not found.all() and unknown != "skip":
            lacking = _text(np.unique(points[~found]))
            shown = ", ".join(repr(symbol) for symbol in lacking[:10])
            more = f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
            raise UnknownSymbolError(
                f"the alphabet of {len(self)} symbols lacks {shown}{more}; "
                "leave them out, or skip them with --unknown skip"
            )
        return np.take(self._order, where[found], mode="clip")

    def decode(self, ids: Iterable[int] | npt.NDArray[np.integer]) -> str:
        """Ids to characters, the exact inverse of `encode`."""
        return _text(_code_points(self.symbols)[np.asarray(ids, dtype=np.int64).reshape(-1)])


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(points: npt.NDArray[np.uint32]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


PARTS = ("train", "valid", "test", "all")
"""The parts of a text; ``all`` is the whole of it."""


@dataclass(frozen=True)
class Split:
    """A named way to cut a text into contiguous parts, in this order: train, valid, test.

    Arguments:
        name: the preset's name; it is printed with every number measured on it.
        train, valid: shares of the text; test is the rest.

    >>> Split.named("nanogpt-90/10").parts(1000)
    {'train': (0, 900), 'valid': (900, 1000), 'test': (1000, 1000), 'all': (0, 1000)}
    """

    name: str
    train: float
    valid: float

    @classmethod
    def named(cls, name: str) -> "Split":
        """The preset of that name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS)
        return SPLITS[name]

    def parts(self, length: int) -> dict[str, tuple[int, int]]:
        """The start and end of each part of a text of `length` characters."""
        first = int(length * self.train)
        second = length if self.train + self.valid >= 1 else int(length * (self.train + self.valid))
        parts = {"train": (0, first), "valid": (first, second), "test": (second, length)}
        return {**parts, "all": (0, length)}

    def piece(self, ids: Ids, part: str) -> Ids:
        """The ids of a part, after the one character before it, so that all of it is predicted.

        >>> Split.named("nanogpt-90/10").piece(np.arange(20), "valid").tolist()
        [17, 18, 19]
        """
        start, end = self.parts(len(ids))[part]
        return ids[max(0, start - 1) : end] if end > start else ids[:0]


SPLITS = {
    split.name: split
    for split in (
        Split("last-10%", 0.9, 0.1),
        Split("last-5%", 0.95, 0.05),
        Split("nanogpt-90/10", 0.9, 0.1),
        Split("torch-rnn-80/10/10", 0.8, 0.1),
        Split("90/5/5", 0.9, 0.05),
        Split("all", 1.0, 0.0),
    )
}
