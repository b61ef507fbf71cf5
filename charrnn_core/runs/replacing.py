"""Training in the place of an earlier run, which is kept until the new one has a checkpoint."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from charrnn_core.files.atomic import explained, user_path
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.writer import RunWriter


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Put the run at a path aside during the block; remove it if the block leaves a checkpoint.

    If the block leaves none, the run is put back. What is not a run is left alone.

    Raises:
        RunDirectoryError: another process is writing the run.
        StorageError: it cannot be moved.
    """
    path = user_path(path)
    aside = path.with_name(f".{path.name}.replaced")
    if not RunDirectory(path).is_run():
        yield
        return
    with RunWriter(path).writing():  # nobody else is
        pass
    if aside.exists():  # left by a process that was killed
        RunWriter(aside).remove()
    with explained("replace", path):
        os.rename(path, aside)
    try:
        yield
    finally:
        if path.exists() and RunDirectory(path).saved():
            RunWriter(aside).remove()
        else:
            with explained("replace", path), contextlib.suppress(OSError):
                os.rename(aside, path)
