"""Symbols to ids and back: the characters of a text, or its bytes in UTF-8."""

import codecs
import reprlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CorpusError, UnknownSymbolError
from charrnn_core.public import public
from charrnn_core.text.decode import encode_text

Ids = npt.NDArray[np.integer[Any]]
"""Ids are stored in the smallest unsigned type that holds them, and converted to int32 for use."""


class Decoder(Protocol):
    """A decoder of ids, piece by piece; `last` also flushes an incomplete character."""

    def __call__(self, ids: Iterable[int] | Ids, last: bool = False) -> str: ...


@public
class Alphabet:
    """An ordered set of characters, which converts characters to ids and back.

    Arguments:
        symbols: the characters, without repetition. `of` sorts them by code point.

    >>> alphabet = Alphabet.of("ho ho")
    >>> alphabet.symbols, alphabet.encode("oh").tolist(), alphabet.decode([0, 2])
    (' ho', [2, 1], ' o')
    """

    kind: ClassVar[str] = "chars"
    unit: ClassVar[str] = "character"

    def __init__(self, symbols: str) -> None:
        self.symbols = symbols
        if len(set(symbols)) != len(symbols):
            raise CorpusError(f"an alphabet cannot repeat symbols; got {reprlib.repr(symbols)}")

    @classmethod
    def of(cls, text: str) -> "Alphabet":
        """Return the alphabet of a text, in order of code points."""
        return cls("".join(sorted(set(text))))

    def joined(self, other: "Alphabet") -> "Alphabet":
        """Return the alphabet with the symbols of another that it lacks at its end.

        >>> Alphabet("oh").joined(Alphabet("hi!"))
        Alphabet('ohi!')
        """
        lacking = [symbol for symbol in other.symbols if symbol not in self.symbols]
        return type(self)(self.symbols + "".join(lacking)) if lacking else self

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.symbols == getattr(other, "symbols", None)

    def __hash__(self) -> int:
        return hash((self.kind, self.symbols))

    def __repr__(self) -> str:
        return f"Alphabet({self.symbols!r})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id.

        >>> Alphabet("ab").dtype, Alphabet("".join(map(chr, range(257)))).dtype
        (dtype('uint8'), dtype('uint16'))
        """
        return np.min_scalar_type(max(0, len(self) - 1))

    @property
    def letters(self) -> bytes:
        """Return for each symbol 1 if it can be a part of a word, otherwise 0.

        >>> list(Alphabet(" '3_é").letters)
        [0, 0, 1, 1, 1]
        """
        return bytes(symbol.isalnum() or symbol == "_" for symbol in self.symbols)

    def table(self) -> Any:
        """Return the plain form, for checkpoints; `read_alphabet` reads it."""
        return [ord(symbol) for symbol in self.symbols]

    @cached_property
    def _places(self) -> npt.NDArray[np.int32]:
        """The id of every code point, or -1; the last element stands for all code points above."""
        points = _code_points(self.symbols)
        places = np.full(int(points.max(initial=0)) + 2, -1, np.int32)
        places[points] = np.arange(len(points))
        return places

    def encode(self, text: str, unknown: str = "error", dtype: Any = np.int32) -> Ids:
        """Return the ids of the characters of a text, one-dimensional.

        Arguments:
            text: the characters.
            unknown: what to do with characters outside the alphabet: ``"error"`` or ``"skip"``.
            dtype: the type of the ids.

        Raises:
            UnknownSymbolError: the text has characters the alphabet lacks; they are listed.
        """
        points = _code_points(text)
        ids = np.take(self._places, points, mode="clip")
        if ids.min(initial=0) < 0:
            if unknown != "skip":
                raise UnknownSymbolError(self._lacks(_text(np.unique(points[ids < 0]))))
            ids = ids[ids >= 0]
        return ids.astype(dtype, copy=False)

    def _lacks(self, symbols: str) -> str:
        shown = ", ".join(repr(symbol) for symbol in symbols[:10])
        more = f" and {len(symbols) - 10} more" if len(symbols) > 10 else ""
        return (
            f"the alphabet of {len(self)} symbols lacks {shown}{more}; "
            "remove them, or skip them with --unknown skip"
        )

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """Return the characters of ids, the exact inverse of `encode`."""
        return self.decoder()(ids, last=True)

    def decoder(self) -> Decoder:
        """Return a function that decodes ids piece by piece."""
        points = _code_points(self.symbols)
        return lambda ids, last=False: _text(points[_indices(ids)])


class ByteAlphabet(Alphabet):
    """The 256 bytes as symbols: any text is encoded, as its bytes in UTF-8.

    A character that stands for a byte outside UTF-8 (``surrogateescape``) becomes that byte. Bytes
    that are not UTF-8 are decoded as U+FFFD. `symbols` has the character of each byte's number.

    >>> ByteAlphabet().encode("hé").tolist(), ByteAlphabet().decode([104, 195, 169])
    ([104, 195, 169], 'hé')
    >>> decode = ByteAlphabet().decoder()
    >>> [decode([104, 195]), decode([169])]
    ['h', 'é']
    """

    kind = "bytes"
    unit = "byte"

    def __init__(self) -> None:
        super().__init__("".join(map(chr, range(256))))

    @classmethod
    def of(cls, text: str) -> Alphabet:
        """Return the alphabet of any text."""
        return cls()

    def __repr__(self) -> str:
        return "ByteAlphabet()"

    @property
    def letters(self) -> bytes:
        """Return for each byte 1 if it can be a part of a word, otherwise 0."""
        return super().letters[:128] + b"\1" * 128

    def table(self) -> Any:
        return self.kind

    def encode(self, text: str, unknown: str = "error", dtype: Any = np.int32) -> Ids:
        """Return a text's bytes in UTF-8 as ids, one-dimensional; none is ever unknown."""
        return np.frombuffer(encode_text(text), np.uint8).astype(dtype, copy=False)

    def decoder(self) -> Decoder:
        """Return a function that decodes ids piece by piece; a character may span two pieces.

        >>> ByteAlphabet().decoder()([104, 195], last=True)
        'h\\ufffd'
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda ids, last=False: decoder.decode(_indices(ids).astype(np.uint8).data, last)


ALPHABETS = {alphabet.kind: alphabet for alphabet in (Alphabet, ByteAlphabet)}
"""The choices of ``--alphabet``."""


def read_alphabet(table: Any) -> Alphabet:
    """Read the plain form of an alphabet: the code points of its characters, or ``"bytes"``.

    Raises:
        CorpusError: it is neither.

    >>> read_alphabet([104, 111]), read_alphabet("bytes")
    (Alphabet('ho'), ByteAlphabet())
    """
    if table == ByteAlphabet.kind:
        return ByteAlphabet()
    try:
        return Alphabet("".join(map(chr, table)))
    except (TypeError, ValueError, OverflowError) as error:
        raise CorpusError(
            f"not an alphabet: {error}; expected a list of code points or {ByteAlphabet.kind!r}"
        ) from error


def _indices(ids: Iterable[int] | Ids) -> npt.NDArray[np.int64]:
    return np.asarray(ids, dtype=np.int64).reshape(-1)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(points: npt.NDArray[np.uint32]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
