"""What a list of runs says of each: read from the header of its newest checkpoint, without jax."""

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError, StorageError
from charrnn_core.files.atomic import explained
from charrnn_core.files.checkpoint import Header, read_header
from charrnn_core.registry.width import WIDTH
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import read_manifest

RUNNING, INTERRUPTED, EMPTY, DAMAGED = "running", "interrupted", "no checkpoint", "damaged"


@dataclass(frozen=True)
class Overview:
    """A run, as a list has it; None for what is not known.

    Arguments:
        path: its directory.
        state: ``running``, ``finished``, ``stopped early``, ``interrupted``, ``diverged``, ``no
            checkpoint`` or ``damaged``.
        cell, text: their specs in short, and the name of the text.
        parameters: the number of learnt parameters.
        nats: the least held-out loss per character; of all of the held-out text once the training
            has ended, until then of the excerpt that is scored while it learns.
        seconds, characters: how long it was trained, and on how much.
        bytes: how much the directory takes.
        changed: when the newest of its files was written, in seconds since 1970.
    """

    path: Path
    state: str
    cell: str | None
    text: str | None
    parameters: int | None
    nats: float | None
    seconds: float | None
    characters: int | None
    bytes: int
    changed: float

    @property
    def bits(self) -> float | None:
        """The same loss in bits."""
        return None if self.nats is None else self.nats / math.log(2)


def overviews(folder: Path) -> list[Overview]:
    """Return an overview of every run in a folder, by name.

    Raises:
        StorageError: the folder cannot be read.
    """
    with explained("read", folder):
        paths = sorted(path for path in folder.iterdir() if path.is_dir())
    return [overview(path) for path in paths if RunDirectory(path).is_run()]


def overview(path: Path) -> Overview:
    """Return an overview of a run, whatever state it is in."""
    directory = RunDirectory(path)
    size, changed = _on_disk(path)
    state, header = newest(directory)
    table: Mapping[str, Any] = header.table if header else {}
    loop = table.get("loop", {})
    return Overview(
        path=path,
        state=state,
        cell=spec(table["config"].get("cell")) if table else None,
        text=table["corpus"]["name"] if table else None,
        parameters=header and _learnt(header),
        nats=_nats(directory, loop),
        seconds=loop.get("seconds"),
        characters=loop.get("characters"),
        bytes=size,
        changed=changed,
    )


def spec(component: Any) -> str | None:
    """Return the spec of a resolved cell, with its width or its layers and no other option.

    >>> spec({"use": "stacked", "layers": [{"use": "gru", "features": 8}] * 2, "dropout": 0.1})
    'stacked:gru:8*2'
    """
    if not isinstance(component, Mapping):
        return None
    layers = component.get("layers")
    if isinstance(layers, list):
        each = ((name, len(list(some))) for name, some in groupby(map(spec, layers)))
        inner = ",".join(f"{name}*{times}" if times > 1 else str(name) for name, times in each)
        return f"{component.get('use')}:{inner}"
    width = component.get(WIDTH)
    return str(component.get("use")) if width is None else f"{component.get('use')}:{width}"


def newest(directory: RunDirectory) -> tuple[str, Header | None]:
    """Return the state of a run, and the header of its newest checkpoint that has a usable one."""
    live = directory.is_live()
    try:
        saved = directory.saved()
    except StorageError:  # such as a link where the checkpoints should be
        return DAMAGED, None
    for path in reversed(saved):
        with contextlib.suppress(CharRNNError):
            header = read_header(path)
            table = read_manifest(path, header.table)
            status = table.get("loop", {}).get("status", "unknown")
            if live or status == RUNNING:
                status = RUNNING if live else INTERRUPTED
            return status, replace(header, table=table)
    if live:
        return RUNNING, None
    return (DAMAGED if saved else EMPTY), None


def _nats(directory: RunDirectory, loop: Mapping[str, Any]) -> float | None:
    with contextlib.suppress(CharRNNError, ValueError, KeyError):
        if (evaluation := directory.evaluation(loop["step"])) is not None:
            return evaluation["nats_per_char"]
    return loop.get("best")


def _learnt(header: Header) -> int:
    return sum(size for path, size in header.sizes.items() if path.startswith("params/"))


def _on_disk(path: Path) -> tuple[int, float]:
    """Return the bytes that a directory takes, and when its newest file was written."""
    size, newest = 0, path.stat().st_mtime
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # it has just been removed
                status = os.lstat(os.path.join(folder, name))
                size, newest = size + status.st_size, max(newest, status.st_mtime)
    return size, newest
