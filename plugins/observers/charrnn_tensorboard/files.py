"""Event files: each session of a training writes one of its own, after those of before.

A file is a sequence of TFRecords, each the length, its checksum, an `Event` and its checksum.
tensorboardX's own writer hands events to a thread, so that nobody knows what a file holds, and
begins files anew.
"""

import os
import re
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from charrnn_core.files.atomic import explained, make_directory
from charrnn_core.files.regular import check_own_directory, cut_own, own

Event: Any = vars(event_pb2)["Event"]
SessionLog: Any = vars(event_pb2)["SessionLog"]
"""Protocol buffers, which exist only once their module is imported."""

_NAME = re.compile(r"events\.out\.tfevents\.([0-9]{6,})\.charrnn")
_VERSION = "brain.Event:2"


class EventFiles:
    """The event files in a directory, numbered in the order in which viewers read them.

    A new file is begun with the first event after `cut_back`, for a viewer that has read on in an
    old one would not notice that it was cut. Its first events tell the viewer to forget what came
    after the last step that is kept.

    Arguments:
        directory: where they are; it need not exist.

    Raises (all methods):
        StorageError: a file cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._closed: dict[int, int] = {}
        self._open: tuple[int, IO[bytes]] | None = None
        self._last = 0

    def lengths(self) -> dict[int, int]:
        """Return the length in bytes of each file that is there, by number."""
        with explained("read", self._directory):
            for each in (self._directory.parent, self._directory):
                check_own_directory(each)
            paths = list(self._directory.glob("*")) if self._directory.is_dir() else []
            found = ((_NAME.fullmatch(path.name), path) for path in paths)
            pairs = [(int(name[1]), path.stat().st_size) for name, path in found if name]
        return dict(sorted(pairs))

    def cut_back(self, lengths: Mapping[int, int], step: int) -> None:
        """Cut the files to these lengths and remove the others; go on after a step."""
        self.close()
        there = self.lengths()
        with explained("write", self._directory):
            for number in there:
                if number in lengths:
                    cut_own(self._path(number), lengths[number])
                else:
                    self._path(number).unlink(missing_ok=True)
        self._closed = dict(lengths)
        # Not the name of one that was removed: a viewer may have it open.
        self._last, self._next = step, max([0, *there, *lengths]) + 1

    def add(self, summary: Any, step: int) -> None:
        """Append an event with a summary, and hand it to the operating system."""
        if self._open is None:
            make_directory(self._directory)
            with explained("write", self._path(self._next)):
                self._open = self._next, open(self._path(self._next), "xb", opener=own)
            self._write(Event(wall_time=time.time(), file_version=_VERSION))
            begun = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=self._last + 1, session_log=begun))
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def flushed(self) -> dict[int, int]:
        """Flush the files to the storage medium; return the length of each by number."""
        lengths = dict(self._closed)
        if self._open is not None:
            number, file = self._open
            with explained("write", self._path(number)):
                os.fsync(file.fileno())
                lengths[number] = file.tell()
        return lengths

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._closed = self.flushed()
            self._open[1].close()
            self._open = None

    def _path(self, number: int) -> Path:
        return self._directory / f"events.out.tfevents.{number:06d}.charrnn"

    def _write(self, event: Any) -> None:
        assert self._open is not None
        number, file = self._open
        data: bytes = event.SerializeToString()
        header = struct.pack("<Q", len(data))
        record = [header, _checksum(header), data, _checksum(data)]
        with explained("write", self._path(number)):
            file.write(b"".join(record))
            file.flush()


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))
