"""Symbols to ids and back: the characters of a text, or the bytes of its UTF-8."""

import codecs
import reprlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CorpusError, UnknownSymbolError
from charrnn_core.text.decode import encode_text

Ids = npt.NDArray[np.integer[Any]]
"""Ids are kept in the smallest unsigned type that holds them, and are int32 where they are used."""


class Decoder(Protocol):
    """Ids to text, piece by piece; with `last`, what the end leaves incomplete is written too."""

    def __call__(self, ids: Iterable[int] | Ids, last: bool = False) -> str: ...


class Alphabet:
    """The ordered set of symbols: characters to ids and back.

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
        """The alphabet of a text, in order of code points."""
        return cls("".join(sorted(set(text))))

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

    def table(self) -> Any:
        """The plain form, for checkpoints; `read_alphabet` reads it."""
        return [ord(symbol) for symbol in self.symbols]

    @cached_property
    def _places(self) -> npt.NDArray[np.int32]:
        """The id of every code point, -1 where there is none; the last one is for all above."""
        points = _code_points(self.symbols)
        places = np.full(int(points.max(initial=0)) + 2, -1, np.int32)
        places[points] = np.arange(len(points))
        return places

    def encode(self, text: str, unknown: str = "error", dtype: Any = np.int32) -> Ids:
        """Characters to ids, one-dimensional.

        Arguments:
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
            "leave them out, or skip them with --unknown skip"
        )

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """Ids to characters, the exact inverse of `encode`."""
        return self.decoder()(ids, last=True)

    def decoder(self) -> Decoder:
        """A function that decodes ids which come piece by piece."""
        points = _code_points(self.symbols)
        return lambda ids, last=False: _text(points[_indices(ids)])


class ByteAlphabet(Alphabet):
    """The 256 bytes: texts are read in UTF-8, so that none has symbols it lacks.

    A character that stands for a byte which is not UTF-8 (``surrogateescape``) is that byte. Bytes
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
        """The alphabet of any text."""
        return cls()

    def __repr__(self) -> str:
        return "ByteAlphabet()"

    def table(self) -> Any:
        return self.kind

    def encode(self, text: str, unknown: str = "error", dtype: Any = np.int32) -> Ids:
        """A text's bytes in UTF-8 as ids, one-dimensional; nothing is ever unknown."""
        return np.frombuffer(encode_text(text), np.uint8).astype(dtype, copy=False)

    def decoder(self) -> Decoder:
        """A function that decodes ids piece by piece: a character may begin in one, end in another.

        >>> ByteAlphabet().decoder()([104, 195], last=True)
        'h\\ufffd'
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda ids, last=False: decoder.decode(_indices(ids).astype(np.uint8).data, last)


ALPHABETS = {alphabet.kind: alphabet for alphabet in (Alphabet, ByteAlphabet)}
"""What ``--alphabet`` chooses from."""


def read_alphabet(table: Any) -> Alphabet:
    """The alphabet that `table` gave: the code points of its characters, or ``"bytes"``.

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
            f"an alphabet is a list of code points or {ByteAlphabet.kind!r}: {error}"
        ) from error


def _indices(ids: Iterable[int] | Ids) -> npt.NDArray[np.int64]:
    return np.asarray(ids, dtype=np.int64).reshape(-1)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(points: npt.NDArray[np.uint32]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
