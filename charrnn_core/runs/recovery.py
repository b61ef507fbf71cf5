"""Choosing the newest checkpoint that is intact."""

import reprlib
from collections.abc import Callable
from pathlib import Path

from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint
from charrnn_core.runs.checkpoint_names import step_of


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
