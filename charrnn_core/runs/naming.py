"""The default name of a new run's directory."""

import itertools
import re
from pathlib import Path

from charrnn_core.files.atomic import DISK, explained
from charrnn_core.runs.config import RunConfig

_LONGEST_LABEL = 100


def label(config: RunConfig) -> str:
    """Return a label of a run, made of its cell and source in portable characters.

    >>> label(RunConfig(cell="elman:8", source="file:corpus/Fünf Gedichte.txt"))
    'elman-file-F-nf-Gedichte'
    """
    source = f"{config.source.use}-{Path(config.source.argument or '').stem}".strip("-")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.cell.use}-{source}")
    return name[:_LONGEST_LABEL].strip("-")  # all ASCII; file names may have 255 bytes


def new_directory(parent: Path, label: str) -> Path:
    """Create the first unused directory ``LABEL-N``, safely even if other processes do the same.

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
