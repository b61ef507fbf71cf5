"""What is fuzzed: functions of any bytes that let no error escape but those a user may meet.

Each writes and reads only in a directory of its own. tests/test_fuzz.py feeds them from hypothesis,
the corpus and a list of nasty inputs; tests/fuzz/run.py feeds them from libFuzzer.
"""

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import shutil
import struct
import tempfile
import tomllib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tomli_w
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.mirrors import candidates
from charrnn_gutenberg.source import book_number, cached_book
from charrnn_gutenberg.wrapper import LONGEST_WRAPPER, remnants, strip_wrapper, trim_blank_lines
from charrnn_text.files import find_files

from charrnn_core.compression.container import Reader, section
from charrnn_core.compression.escapes import Split, join
from charrnn_core.errors import CharRNNError, CompressionError, StorageError
from charrnn_core.files.checkpoint import FORMAT, Checkpoint, load_checkpoint
from charrnn_core.registry.spec import Ref, parse_refs, source_ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.text.alphabet import Alphabet

SETTINGS = {field.name for field in dataclasses.fields(RunConfig)}


def checkpoint(data: bytes) -> None:
    """Load a file of these bytes: as they are, and in envelopes that get them past the digest."""
    load(data)
    load(sealed(data))
    load(enveloped(data))


def spec(data: bytes) -> None:
    """Read text, as a command line has it, as everything that a spec may be."""
    text = data.decode("utf-8", "surrogateescape")
    with only_ours():
        ref = Ref.parse(text)
        assert Ref.parse(ref.table()) == ref and isinstance(hash(ref), int)
    with only_ours():
        refs = parse_refs(text)
        assert parse_refs([ref.table() for ref in refs]) == refs
    with only_ours():
        assert isinstance(source_ref(text), Ref)
    name, _, value = text.partition("=")
    if name in SETTINGS:
        with only_ours():
            settings = RunConfig.read({name: value})
            with no_error():
                assert RunConfig.read(settings.table()) == settings
    _book(text)
    _book(text.removeprefix("gutenberg:"))
    _files(text.removeprefix("file:"))


def stripper(data: bytes) -> None:
    """Decode a book and cut its wrapper, twice."""
    with only_ours():
        text = decode_book(data, "a fuzzer")
        assert "\r" not in text
        stripped = strip_wrapper(text)
        assert stripped.text in text
        assert len(stripped.text) >= min(len(text) / 2, len(text) - LONGEST_WRAPPER)
        assert remnants(stripped.text).isprintable()
        body = trim_blank_lines(stripped.text)
        with no_error():
            again = strip_wrapper(body)
        assert (again.text, again.start, again.end) == (body, False, False)
        assert trim_blank_lines(body) == body


def config(data: bytes) -> None:
    """Read a configuration, write it as a run does, and read it again."""
    path = place() / "config.toml"
    path.write_bytes(data)
    with only_ours():
        values = read_toml(path)
        settings = RunConfig.read(values)
        with no_error():
            table = tomllib.loads(tomli_w.dumps(settings.table()))
            assert _same(RunConfig.read(table).table(), settings.table())


def archive(data: bytes) -> None:
    """Read a compressed file of these bytes: as they are, and in parts that get past the CRCs."""
    for file in (data, checked(data)):
        with only_ours(CompressionError):
            reader = Reader(file, "a file")
            header = reader.header()
            assert Reader(header.packed(), "the same").header() == header
            parts = Split(np.zeros(3, np.uint8), reader.section())
            assert join(parts, Alphabet("a"), len(file)).count(b"a") >= 3
            for block in reader.blocks(2, streams=1):
                assert len(block.data) < len(file) and len(block.states) == 1
            reader.end()


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (archive, checkpoint, spec, stripper, config)
}


def sealed(data: bytes) -> bytes:
    """The bytes with the digest that a checkpoint ends with."""
    return data + hashlib.sha256(data).digest()


def checked(data: bytes) -> bytes:
    """A compressed file of a header, what the alphabet lacks, and a block, each with its CRC-32.

    The first two bytes say how long the header and the next part are.
    """
    first, second = (*data[:2], 0, 0)[:2]
    header, middle, last = data[2:][:first], data[2 + first :][:second], data[2 + first + second :]
    start = b"CRZ\1" + header
    crc = struct.pack("<I", zlib.crc32(start))
    return start + crc + section(middle) + section(last)


def enveloped(data: bytes) -> bytes:
    """A sealed file with this header; the first byte says how many of the last are the arrays."""
    header, arrays = data[1:], b""
    if data and 0 < data[0] < len(data):
        header, arrays = header[: -data[0]], header[-data[0] :]
    return sealed(struct.pack("<4sHI", b"CRNN", FORMAT, len(header)) + header + arrays)


@functools.cache
def place() -> Path:
    """A directory for this process, with a few files and an empty cache."""
    directory = Path(tempfile.mkdtemp(prefix="charrnn-fuzz-")).resolve()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "texts" / "more" / "deep").mkdir(parents=True)
    (directory / "cache").mkdir()
    for name in ("one.txt", "two.txt", "[x]", "more/three.txt", "more/deep/four", ".hidden"):
        (directory / "texts" / name).write_text("text\n")
    return directory


@contextlib.contextmanager
def only_ours(kind: type[CharRNNError] = CharRNNError) -> Iterator[None]:
    """Let pass what a user may meet: an error of ours, in one line that moves no cursor."""
    try:
        yield
    except kind as error:
        if not str(error).isprintable():
            raise AssertionError(f"not one printable line: {str(error)!r}") from error


@contextlib.contextmanager
def no_error() -> Iterator[None]:
    """Turn an error of ours into a failure, inside a block that lets it pass."""
    try:
        yield
    except CharRNNError as error:
        raise AssertionError(f"what was accepted is refused: {error}") from error


def load(data: bytes) -> Checkpoint | None:
    """The checkpoint that a file of these bytes is, or None."""
    path = place() / "checkpoint.crn"
    path.write_bytes(data)
    with only_ours(StorageError):
        loaded = load_checkpoint(path)
        assert isinstance(loaded.table, dict)
        assert sum(array.nbytes for array in loaded.arrays.values()) < len(data)
        assert not any(array.flags.writeable for array in loaded.arrays.values())
        return loaded
    return None


def _book(argument: str) -> None:
    """A book's number never leads out of the cache or the mirror."""
    with only_ours():
        number = book_number(argument)
        cached = cached_book(place() / "cache", number)
        for path in (cached.raw, cached.sidecar, cached.lock):
            assert path.resolve().parent == place() / "cache" / "gutenberg"
        for name in candidates(number):
            assert (place() / name).resolve().is_relative_to(place())


def _files(argument: str) -> None:
    """Look for files below a small directory; elsewhere only where no disk is walked over."""
    if ".." not in argument:
        with only_ours():
            found = find_files(f"{place()}/texts/{argument}")
            assert found and len(found) == len(set(found))
    if not any(symbol in argument for symbol in "*?[") and not _is_directory(argument):
        with only_ours():
            assert len(find_files(argument)) == 1


def _is_directory(argument: str) -> bool:
    try:
        return os.path.isdir(os.path.expanduser(argument) or ".")
    except ValueError:
        return False


def _same(one: object, other: object) -> bool:
    """Equality under which nan, too, equals itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other
