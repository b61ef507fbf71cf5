"""The command ``charrnn runs``; it imports what reads a run when it runs, to keep --help fast."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn_core.console.layout import room
from charrnn_core.errors import RunDirectoryError, UsageError
from charrnn_core.terminal import emit, say, say_json

if TYPE_CHECKING:
    from charrnn_core.runs.overview import Overview

_ORDERS: dict[str, Callable[["Overview"], Any]] = {
    "name": lambda run: run.path.name,
    "date": lambda run: run.changed,
    "bits": lambda run: (run.bits is None, run.bits or 0),
    "time": lambda run: run.seconds or 0,
    "size": lambda run: run.bytes,
}

_folder = click.option(
    "--in",
    "folder",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="The folder that the runs are in.",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(invoke_without_command=True)
@_folder
@click.option(
    "--sort",
    type=click.Choice(list(_ORDERS)),
    default="date",
    show_default=True,
    help="What to sort by: the newest, longest or largest run comes last; the one with the fewest "
    "bits comes first, and those without a result last.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
@click.pass_context
def runs(ctx: click.Context, folder: Path, sort: str, as_json: bool) -> None:
    """List the runs in a folder with their state and result; remove runs."""
    if ctx.invoked_subcommand is not None:
        return
    from charrnn_core.runs.overview import overviews
    from charrnn_runs.screen import as_plain_data, lines

    never_trained = not folder.exists() and _was_not_typed(ctx, "folder")
    found = [] if never_trained else sorted(overviews(folder), key=_ORDERS[sort])
    if as_json:
        for run in found:
            say_json(as_plain_data(run))
    elif found:
        emit("".join(f"{line}\n" for line in lines(found, room())))
    else:
        say(f"no runs in {folder}; train one with: charrnn run")


def _was_not_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.DEFAULT


@runs.command()
@click.argument("run", type=click.Path(path_type=Path), nargs=-1, required=True)
@_yes
def rm(run: Sequence[Path], yes: bool) -> None:
    """Remove runs; what charrnn has not written stays."""
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.runs.overview import overview

    for path in run:
        if not RunDirectory(path).is_run():
            raise UsageError(f"{path} is not a run directory; nothing was removed")
    _remove([overview(path) for path in dict.fromkeys(run)], yes)


@runs.command()
@_folder
@click.option("--interrupted", is_flag=True, help="Remove those that were interrupted.")
@click.option("--empty", is_flag=True, help="Remove those without a checkpoint that can be read.")
@click.option(
    "--worse-than",
    type=click.FloatRange(min=0),
    metavar="BITS",
    help="Remove those with more bits per character.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Remove those that nothing was written to for so long.",
)
@_yes
def prune(folder: Path, yes: bool, **conditions: Any) -> None:
    """Remove all runs in a folder that one of the options is true of."""
    from charrnn_core.runs.overview import overviews
    from charrnn_runs.pruning import Conditions

    wanted = Conditions(**conditions)
    if wanted == Conditions():
        raise UsageError(
            "nothing says which runs to remove; give one or more of --interrupted, --empty, "
            "--worse-than BITS, --older-than DAYS"
        )
    if found := [run for run in overviews(folder) if wanted.hold_for(run)]:
        _remove(found, yes)
    else:
        say(f"no run in {folder} is to be removed")


def _remove(found: "Sequence[Overview]", yes: bool) -> None:
    """Show runs, ask, and remove them; none, if one of them is being trained.

    Raises:
        RunDirectoryError: one of them is; the message names the process.
    """
    from charrnn_core.runs.overview import RUNNING
    from charrnn_core.runs.writer import RunWriter
    from charrnn_runs.screen import lines, short

    for run in found:
        if run.state == RUNNING:
            writer = RunWriter(run.path).writer()
            raise RunDirectoryError(f"{run.path} is being written by {writer}; nothing was removed")
    emit("".join(f"{line}\n" for line in lines(found, room())))
    size = short(sum(run.bytes for run in found))
    count = "this run" if len(found) == 1 else f"these {len(found)} runs"
    if not yes:
        click.confirm(f"Remove {count}, {size}B?", abort=True)
    for run in found:
        left = RunWriter(run.path).remove()
        if left:
            say(f"note: {run.path} still has {', '.join(left)}, which charrnn has not written")
    say(f"removed {count}")
