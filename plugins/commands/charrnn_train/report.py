"""What is printed of a training that has ended."""

from typing import Any

from charrnn_core.console.curve import curve_in_terminal
from charrnn_core.console.stdio import dispensable
from charrnn_core.terminal import emit, say, to_stderr


def report(trained: Any, quiet: bool) -> None:
    """Print the result of a training, its learning curve unless that is to be quiet, and what next.

    A terminal that is gone loses only what would have been printed.
    """
    with dispensable() as lost:
        if not quiet:
            emit("".join(f"{line}\n" for line in curve_in_terminal(trained.curve())))
        say("\n".join(trained.lines()))
    for error in lost:
        to_stderr(f"note: {error}; the run is saved in {trained.directory}")
    if trained.reason == "interrupted":
        to_stderr("interrupted: progress so far is saved")
