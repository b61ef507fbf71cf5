"""Finding the checkpoint of a run to read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn_core.errors import RunDirectoryError
from charrnn_core.files.atomic import explained, user_path
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint
from charrnn_core.files.regular import named
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import read_manifest
from charrnn_core.runs.recovery import first_good, load_step

_LOOKS = 5
"""How often a reader tries again if the checkpoints it found are pruned before it can read them."""

_OF_THE_NETWORK = (
    "cell",
    "embedding",
    "context",
    "context_bits",
    "tied",
    "documents",
    "alphabet",
)


def open_checkpoint(
    run: Path, note: Callable[[str], None], best: bool = False
) -> tuple[Path, Checkpoint]:
    """Read the newest good checkpoint of a run directory, or a checkpoint file; also its path.

    Arguments:
        run: the run directory or checkpoint file.
        note: takes a line for every damaged file that was skipped.
        best: read the checkpoint with the lowest held-out loss instead.

    Raises:
        RunDirectoryError: the path is neither, or the run has no checkpoint yet.
        CheckpointError: no checkpoint is good; the message says what is wrong with the newest.
    """
    directory = RunDirectory(run)
    run = directory.path
    with explained("read", run):
        if run.is_file():
            return run, load_checkpoint(run, named)
    for _ in range(_LOOKS):
        saved = _saved(run)
        lines: list[str] = []
        found = first_good(saved[::-1], lines.append)
        if found is not None and best:
            found = _best(directory, *found)
        if found is not None:
            for line in lines:
                note(line)
            return found
    which = "best" if best else "newest"
    raise RunDirectoryError(
        f"the {which} checkpoint of {run} was removed before it could be read; try again"
    )


def _saved(run: Path) -> list[Path]:
    """Return the checkpoints of a run directory, at least one.

    Raises:
        RunDirectoryError: it is not a run directory, or the run has no checkpoint yet.
    """
    directory = RunDirectory(run)
    run = directory.path
    with explained("read", run):
        if not run.exists():
            raise RunDirectoryError(
                f"{run} does not exist; expected a run directory or a checkpoint file"
            )
        if not directory.config_file.is_file() and not directory.checkpoints.is_dir():
            raise RunDirectoryError(
                f"{run} is not a run directory: it has no config.toml and no checkpoints/; "
                "expected what 'charrnn run --out DIR' wrote"
            )
    if not (saved := directory.saved()):
        live = directory.is_live()
        remedy = "training is running: wait for the first one" if live else directory.what_helps()
        raise RunDirectoryError(f"{run} has no checkpoint yet; {remedy}")
    return saved


def check_run(run: Path) -> None:
    """Check quickly that a run has a checkpoint, without reading it.

    Raises:
        RunDirectoryError: there is no such run, or it has no checkpoint yet.
    """
    run = user_path(run)
    with explained("read", run):
        if run.is_file():
            return
    _saved(run)


def saved_network(run: Path) -> dict[str, Any]:
    """Return the settings of a run that its parameters depend on: its network and alphabet.

    Raises:
        RunDirectoryError, CheckpointError: as for `open_checkpoint`.
    """
    path, checkpoint = open_checkpoint(run, lambda line: None)
    config = read_manifest(path, checkpoint.table)["config"]
    return {name: config[name] for name in _OF_THE_NETWORK if name in config}


def _best(
    directory: RunDirectory, newest: Path, checkpoint: Checkpoint
) -> tuple[Path, Checkpoint] | None:
    """Return the checkpoint that the newest one records as the best; None if it has vanished."""
    loop = checkpoint.table.get("loop")
    step = loop.get("best_step") if isinstance(loop, dict) else None
    if type(step) is not int or step < 0:
        raise RunDirectoryError(f"{newest} has no held-out loss; leave out --best")
    path = directory.checkpoint_file(step)
    found = load_step(path)
    return found and (path, found)
