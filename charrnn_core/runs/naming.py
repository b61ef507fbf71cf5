"""What the directory of a new run is called, unless the user says."""

import itertools
import re
from pathlib import Path

from charrnn_core.files.atomic import DISK, explained
from charrnn_core.runs.config import RunConfig

_LONGEST_LABEL = 100


def label(config: RunConfig) -> str:
    """What a run is called after: its cell and its source, in letters that every system takes.

    >>> label(RunConfig(cell="elman:8", source="file:corpus/Fünf Gedichte.txt"))
    'elman-file-F-nf-Gedichte'
    """
    source = f"{config.source.use}-{Path(config.source.argument or '').stem}".strip("-")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.cell.use}-{source}")
    return name[:_LONGEST_LABEL].strip("-")  # of one byte a character; a name has 255 at most


def new_directory(parent: Path, label: str) -> Path:
    """Create the first directory ``LABEL-N`` that nobody has, even if others do the same now.

    Raises:
        StorageError: it cannot be created.
    """
    for number in itertools.count(1):
        path = parent / f"{label}-{number}"
        with explained("create", path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            DISK.sync_directory(parent.parent)
            return path
    raise AssertionError("unreachable: a number is always free")
