"""Load files that may be crafted, watched or held short: ``python -m tests.untrusted``. No jax.

``watched FILE...`` loads files while everything that Python audits is forbidden, except reading.
``bounded`` loads the files of `crafted` in processes that have twice the file and 64 MB of memory.
"""

import os
import resource
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # what the reader needs is imported before it is watched
import msgpack

from charrnn_core.errors import CheckpointError
from charrnn_core.files import checkpoint
from charrnn_core.files.checkpoint import load_checkpoint
from tests.fuzz.nasty import array, nasty
from tests.fuzz.targets import enveloped, sealed

MARGIN = 64 * 2**20
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook that lets files be read, and nothing else be done."""
    if event == "open" and not arguments[2] & _WRITING and arguments[1] in ("r", "rb", None):
        return
    # The process ends at once: an exception could be caught.
    os.write(2, f"{event} {arguments}\n".encode("utf-8", "replace")[:1000])
    os._exit(77)


def watched(files: list[str]) -> None:
    """Load files under `watch`; one that cannot be loaded is no failure."""
    sys.addaudithook(watch)
    loaded = 0
    for name in files:
        try:
            load_checkpoint(Path(name))
            loaded += 1
        except CheckpointError:
            pass
    os.write(1, f"{loaded} loaded\n".encode())
    exec("pass")  # it must be noticed: ends with 77


def crafted() -> Iterator[tuple[str, bytes, bool]]:
    """Name and bytes of files that ask for much, and whether they are valid."""
    for name, data in nasty("checkpoint"):
        yield name, enveloped(data), name == "a time"
    for size in (0, 2**23):
        longest = checkpoint.longest_header(size)
        for name, unit in {
            "empty maps": b"\x80",
            "empty lists": b"\x90",
            "maps of one": b"\x81\xa0\xc0",
            "short texts": b"\xa2\xc3\xa9",
            "bytes": b"\xc4\x01a",
            "floats": b"\xcb" + bytes(8),
            "times": b"\xd6\xff" + bytes(4),
            "extensions": b"\xc7\x00\x05",
        }.items():
            data = bytes(size)
            index = msgpack.packb([array(shape=[size], nbytes=size)] if size else [])
            start = b"\x82\xa6arrays" + index + b"\xa5table\x81\xa1x\xdd"
            count = (longest - len(start) - 4) // len(unit)
            header = start + struct.pack(">I", count) + unit * count
            yield f"{count} {name} and {size} bytes", _file(header, data), True
            yield f"{count + 9} {name} and {size} bytes", _file(header + unit * 9, data), False
    many = [array(path=str(n), offset=n) for n in range(9000)]
    yield "many arrays", _file(msgpack.packb({"table": {}, "arrays": many}), bytes(9000)), True
    bomb = b"\xdd\x00\x07\xf0\x00"
    yield "room for much", _file(b"\x82\xa5table" + bomb * 1000 + bytes(2**19 - 5100), b""), False
    yield "a long header of a short file", b"CRNN\1\0\xff\xff\xff\x7f" + bytes(100), False


def _file(header: bytes, arrays: bytes) -> bytes:
    return sealed(struct.pack("<4sHI", b"CRNN", checkpoint.FORMAT, len(header)) + header + arrays)


def bounded() -> int:
    """Load what is crafted, each in a child; print the memory that each took; count failures."""
    failed = 0
    with tempfile.TemporaryDirectory() as base:
        # Written by a child: what this process had freed, its children would have for nothing.
        status, _ = _child(_write, Path(base))
        assert status == 0
        nothing = _child(_load, Path(base) / "nothing.crn", MARGIN, False)[1]
        for path in sorted(Path(base).glob("*-*.crn")):
            _, valid, name = path.stem.split("-", 2)
            room = 2 * path.stat().st_size + MARGIN
            status, peak = _child(_load, path, room, valid == "valid")
            wrong = status != 0 or peak - nothing > room
            print(f"{(peak - nothing) >> 20:5} of {room >> 20} MiB: {name}{' FAILED' * wrong}")
            failed += wrong
    return failed


def _write(base: Path) -> None:
    (base / "nothing.crn").write_bytes(b"")
    for number, (name, data, valid) in enumerate(crafted()):
        what = "valid" if valid else "invalid"
        (base / f"{number:03d}-{what}-{name}.crn").write_bytes(data)


def _load(path: Path, room: int, valid: bool) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        load_checkpoint(path)
        assert valid, f"{path} was loaded"
    except CheckpointError as error:
        assert not valid, error
        assert str(error).isprintable() and len(str(error)) < 1000


def _child(work: Callable[..., None], *arguments: Any) -> tuple[int, int]:
    """Exit code, and most bytes of memory, of a child that calls a function."""
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(2)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


if __name__ == "__main__":
    if sys.argv[1] == "watched":
        watched(sys.argv[2:])
    else:
        sys.exit(min(bounded(), 1))
