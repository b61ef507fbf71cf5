"""Choosing the newest checkpoint that is intact."""

import re
import reprlib
from collections.abc import Callable
from pathlib import Path

from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint

_NAME = re.compile(r"step-([0-9]{9}|[1-9][0-9]{9})\.crn")


def checkpoint_name(step: int) -> str:
    """Return the file name of an update's checkpoint.

    >>> checkpoint_name(1234)
    'step-000001234.crn'
    """
    return f"step-{step:09d}.crn"


def step_of(name: str) -> int | None:
    """Return the update in a checkpoint's file name; None for any other name.

    >>> step_of("step-000001234.crn"), step_of("step-1.crn")
    (1234, None)
    """
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def first_good(paths: list[Path], note: Callable[[str], None]) -> tuple[Path, Checkpoint] | None:
    """Return the first intact checkpoint; None if one has vanished, as there are newer ones then.

    Arguments:
        paths: checkpoint files, the preferred one first.
        note: takes a line if damaged files were skipped.

    Raises:
        CheckpointError: all are damaged.
    """
    reasons: list[str] = []
    for path in paths:
        try:
            checkpoint = load_step(path)
        except StorageError as error:
            reasons.append(str(error))
            continue
        if checkpoint is None:
            return None
        if reasons:
            note(f"{'; '.join(reasons)}; using {path.name}")
        return path, checkpoint
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    raise CheckpointError(
        f"no checkpoint in {paths[0].parent} can be used: {reasons[0]}{more}; restore one from a "
        "backup, or start a new run"
    )


def load_step(path: Path) -> Checkpoint | None:
    """Read a checkpoint, which must hold the update in its name; None if it has vanished."""
    try:
        checkpoint = load_checkpoint(path)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink():
            return None  # a dangling link, in contrast, has not vanished
        raise
    # The digest of a file that was swapped with another is still right.
    if (step := checkpoint.table.get("step")) != step_of(path.name):
        raise CheckpointError(f"{path} has the wrong name: it holds update {reprlib.repr(step)}")
    return checkpoint
