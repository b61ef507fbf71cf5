"""The command ``charrnn info``; it imports what reads a run when it runs, to keep --help fast."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charrnn_core.console.layout import room
from charrnn_core.files.atomic import user_path
from charrnn_core.files.typed import for_json
from charrnn_core.terminal import emit, say_json

if TYPE_CHECKING:
    from charrnn_core.runs.history import History


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def info(run: Path, as_json: bool, best: bool) -> None:
    """Show the result, model and configuration of a RUN; works without its plugins."""
    from charrnn_core.runs.opening import check_run

    check_run(run)
    from charrnn_core.runs.history import read_history
    from charrnn_core.runs.model import describe_run
    from charrnn_info.screen import lines

    table = describe_run(run, last=not best)
    if as_json:
        say_json(for_json(table))
        return
    history = read_history(run) if user_path(run).is_dir() else None
    evaluation = history.evaluation if history else table.get("evaluation")
    shown = lines(table, room(), evaluation, _curve(history))
    emit("".join(f"{line}\n" for line in shown))


def _curve(history: "History | None") -> list[str]:
    """Return the lines of the learning curve; none for a file, or if there is no terminal."""
    if room() is None or history is None:
        return []
    from charrnn_core.console.curve import curve_in_terminal
    from charrnn_core.evaluation.saved import learning_curve
    from charrnn_core.runs.curves import chart

    return curve_in_terminal(chart([learning_curve(history)]))
