"""Finding the checkpoint of a run to read: the newest, to continue; the best, to use."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from charrnn_core.errors import OptionError, RunDirectoryError, StorageError
from charrnn_core.files.atomic import explained, user_path
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint
from charrnn_core.files.regular import named
from charrnn_core.files.tensors import is_tensors, load_tensors
from charrnn_core.runs.chosen import Chosen, best_step
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.manifest import read_manifest
from charrnn_core.runs.overview import spec
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


class Opened(NamedTuple):
    """A checkpoint that is read for the model in it.

    Fields:
        path, checkpoint: the file and its contents.
        newest: the table of the newest checkpoint of its run; None if only the file was given.
    """

    path: Path
    checkpoint: Checkpoint
    newest: Mapping[str, Any] | None

    @property
    def chosen(self) -> Chosen:
        """Which of the models of its run it is."""
        return Chosen.of(self.checkpoint.table, self.newest)


def open_model(run: Path, note: Callable[[str], None], last: bool = False) -> Opened:
    """Read the checkpoint of a run with the least held-out loss, or a checkpoint file.

    If the run has not been evaluated, or if that checkpoint is damaged or missing, it is the newest
    good one, and a note says so.

    Arguments:
        run: the run directory or checkpoint file.
        note: takes a line for every file that could not be used.
        last: read the newest good checkpoint in any case.

    Raises:
        RunDirectoryError, CheckpointError: as for `open_checkpoint`.
    """
    directory, before = RunDirectory(run), None
    for _ in range(_LOOKS):
        lines: list[str] = []
        path, newest = open_checkpoint(run, lines.append)
        if path == directory.path:
            return Opened(path, newest, None)
        found = Opened(path, newest, newest.table)
        if not last:
            found = _best(directory, found, lines.append, is_gone=path == before)
        if found is not None:
            break
        before = path  # if this is still the newest, then the best one was not replaced by a better
    else:
        raise RunDirectoryError(
            f"the best checkpoint of {directory.path} was removed before it could be read; try "
            "again, or use the last one with --last"
        )
    for line in lines:
        note(line)
    return found


def _best(
    directory: RunDirectory, newest: Opened, note: Callable[[str], None], is_gone: bool
) -> Opened | None:
    """Return the checkpoint that the newest one records as the best.

    Arguments:
        directory: the run.
        newest: its newest good checkpoint, which is returned if there is nothing else.
        note: takes a line in that case.
        is_gone: whether a best one that is not there is not going to be replaced by a better.

    Returns:
        None if it is not there, but may have been replaced.
    """
    instead = f"using the last model, of {newest.path.name}"
    if (step := best_step(newest.checkpoint.table)) is None:
        note(f"note: {directory.path} has no held-out loss; {instead}")
        return newest
    path = directory.checkpoint_file(step)
    if path == newest.path:
        return newest
    try:
        found = load_step(path)
    except StorageError as error:
        note(f"{error}; {instead}")
        return newest
    if found is not None:
        return newest._replace(path=path, checkpoint=found)
    if not is_gone:
        return None
    note(f"note: the best model, of {path.name}, is missing; {instead}")
    return newest


def open_checkpoint(run: Path, note: Callable[[str], None]) -> tuple[Path, Checkpoint]:
    """Read the newest good checkpoint of a run directory, or a file with one; also its path.

    Arguments:
        run: the run directory, checkpoint file, or file of safetensors.
        note: takes a line for every damaged file that was skipped.

    Raises:
        RunDirectoryError: the path is neither, or the run has no checkpoint yet.
        CheckpointError: no checkpoint is good; the message says what is wrong with the newest.
    """
    run = user_path(run)
    with explained("read", run):
        if run.is_file():
            return run, load_tensors(run) if is_tensors(run) else load_checkpoint(run, named)
    for _ in range(_LOOKS):
        lines: list[str] = []
        if (found := first_good(_saved(run)[::-1], lines.append)) is not None:
            for line in lines:
                note(line)
            return found
    raise RunDirectoryError(
        f"the newest checkpoint of {run} was removed before it could be read; try again"
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
        if not directory.is_run():
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


def check_cell(origin: str, saved: Mapping[str, Any], cell: Mapping[str, Any]) -> None:
    """Refuse to start a training of another cell from a run's parameters.

    Arguments:
        origin: what the user called the run.
        saved: its cell, resolved.
        cell: the cell to train, resolved.

    Raises:
        OptionError: they differ in name, width or layers.
    """
    if (its := spec(saved)) != (wanted := spec(cell)):
        raise OptionError(
            f"{origin} has parameters of the cell {its}, but the cell to train is {wanted}; to "
            "start from it, leave the cell out or give the same one"
        )


def saved_network(run: Path) -> dict[str, Any]:
    """Return the settings of a run that its parameters depend on: its network and alphabet.

    Raises:
        RunDirectoryError, CheckpointError: as for `open_checkpoint`.
    """
    path, checkpoint = open_checkpoint(run, lambda line: None)
    config = read_manifest(path, checkpoint.table)["config"]
    return {name: config[name] for name in _OF_THE_NETWORK if name in config}
