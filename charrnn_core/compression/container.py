"""What a compressed file looks like, and reading one that may be damaged.

It begins with ``CRZ``, the version of the format, and a header, which ends with its CRC-32. Then
come sections: what the alphabet lacks, and the blocks; each ends with the CRC-32 of all of it.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CompressionError

_MAGIC, _VERSION = b"CRZ", 1
_CRC = struct.Struct("<I")

MOST_BYTES, MOST_STREAMS = 1 << 28, 64
"""The largest original, and in how many streams at most it is coded."""

_USUAL = (
    b"jax=0.10.2\njaxlib=0.10.2\ncharrnn=0.1.0\nmachine=cuda NVIDIA H100 80GB HBM3 arm64 aarch64 "
    b"asimd asimdhp asimddp asimdfhm fphp sve sve2 i8mm bf16\njax=0.10.2\njaxlib=0.10.2\n"
    b"charrnn=0.1.0\nmachine=x86_64 sse4_2 avx fma f16c avx2 avx512f avx512dq avx512cd avx512bw "
    b"avx512vl avx512vbmi avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile amx_int8 amx_bf16"
)
"""Text that a header is likely to repeat, which then takes a few bytes. A part of the format."""


DIGEST_BYTES = 8
"""How much is kept of a SHA-256."""


def digest(*parts: bytes) -> bytes:
    """Return the first 8 bytes of the SHA-256 of all parts, one after another."""
    whole = sha256()
    for part in parts:
        whole.update(part)
    return whole.digest()[:DIGEST_BYTES]


class Block(NamedTuple):
    """So many steps of all streams.

    Fields:
        states: uint32[B], with which decoding begins.
        data: the bytes that it reads.
    """

    states: npt.NDArray[np.uint32]
    data: bytes


@dataclass(frozen=True)
class Header:
    """What has to be known before a file can be decompressed.

    Arguments:
        length: that of the original, in bytes.
        digest: that of the original.
        model: the model's digest; empty if none is needed.
        surroundings: see `charrnn_core.compression.identity.surroundings`.
        symbols: how many are coded.
        streams: in so many streams; 0 if the bytes are stored as they are.
        has_rest: whether there is something that the alphabet lacks.
    """

    length: int
    digest: bytes
    model: bytes
    surroundings: Mapping[str, str]
    symbols: int
    streams: int
    has_rest: bool

    @property
    def stored(self) -> bool:
        """Return whether the bytes are stored as they are."""
        return not self.streams

    def of_stored(self) -> "Header":
        """Return the header of the same bytes, if they are stored as they are."""
        return replace(self, symbols=0, streams=0, has_rest=False)

    def packed(self) -> bytes:
        """Return the header as a file begins with it."""
        described = "\n".join(f"{key}={value}" for key, value in self.surroundings.items())
        deflate = zlib.compressobj(9, wbits=-15, zdict=_USUAL)
        text = deflate.compress(described.encode()) + deflate.flush()
        streams = self.streams << 1 | self.has_rest
        numbers = b"".join(map(_number, (self.length, self.symbols, streams)))
        body = numbers + self.digest + _sized(self.model) + _sized(text)
        return _sealed(_MAGIC + bytes([_VERSION]) + body)


class Reader:
    """Reads a compressed file from its beginning.

    Arguments:
        data: the bytes of the file.
        name: what messages call it.

    Raises:
        CompressionError: from every method, where the file is damaged.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name, self._at = memoryview(data), name, 0

    def header(self) -> Header:
        """Read the header."""
        start = self._at
        magic, number = self._bytes(len(_MAGIC)), self._bytes(1)[0]
        if magic != _MAGIC:
            raise CompressionError(
                f"{self._name} was not written by charrnn compress; expected a file that was"
            )
        if number != _VERSION:
            raise CompressionError(
                f"{self._name} has the format {number}, and this charrnn reads {_VERSION}; use the "
                "charrnn that wrote it, or write it again if it is damaged"
            )
        length, symbols, streams = self._number(), self._number(), self._number()
        digest, model, text = self._bytes(DIGEST_BYTES), self._sized(), self._sized()
        self._check(start)
        try:
            inflate = zlib.decompressobj(wbits=-15, zdict=_USUAL)
            lines = inflate.decompress(text, 1 << 16).decode().split("\n")
        except (zlib.error, UnicodeDecodeError) as error:
            raise self._damage() from error
        pairs = (line.partition("=") for line in lines)
        surroundings = {key: value for key, _, value in pairs}
        if not symbols <= length <= MOST_BYTES or streams >> 1 > MOST_STREAMS:
            raise self._damage()
        return Header(length, digest, model, surroundings, symbols, streams >> 1, bool(streams & 1))

    def section(self) -> bytes:
        """Read a section of bytes."""
        start = self._at
        data = self._sized()
        self._check(start)
        return data

    def blocks(self, count: int, streams: int) -> Iterator[Block]:
        """Read so many blocks, of so many streams."""
        for _ in range(count):
            section = self.section()
            if len(section) < 4 * streams:
                raise self._damage()
            states = np.frombuffer(section[: 4 * streams], "<u4").astype(np.uint32)
            yield Block(states, section[4 * streams :])

    def end(self) -> None:
        """Check that the file ends here."""
        if self._at != len(self._data):
            raise self._damage()

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise CompressionError(
                f"{self._name} ends too early: it was cut off; expected the whole file"
            )
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def _number(self) -> int:
        number = shift = 0
        while shift < 64:
            byte = self._bytes(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
        raise self._damage()

    def _sized(self) -> bytes:
        return self._bytes(self._number())

    def _check(self, start: int) -> None:
        """Check the CRC-32 of what was read from a place on."""
        expected = zlib.crc32(self._data[start : self._at])
        if _CRC.unpack(self._bytes(_CRC.size))[0] != expected:
            raise self._damage()

    def _damage(self) -> CompressionError:
        return CompressionError(
            f"{self._name} is damaged: a checksum does not match; expected the file as it was "
            "written, from a backup"
        )


def section(data: bytes) -> bytes:
    """Return bytes as a section of a file."""
    return _sealed(_sized(data))


def block_section(block: Block) -> bytes:
    """Return a block as a section of a file."""
    return section(block.states.astype("<u4").tobytes() + block.data)


def _sealed(data: bytes) -> bytes:
    return data + _CRC.pack(zlib.crc32(data))


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; the last has no upper bit."""
    groups = [number >> shift & 127 for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])
