"""The command ``charrnn report``; it imports what reads a run when it runs, to keep --help fast."""

from collections.abc import Sequence
from pathlib import Path

import click

from charrnn_core.files.atomic import user_path
from charrnn_core.terminal import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    help="The page to write; a report that is there is replaced.",
)
@click.option("--watch", is_flag=True, help="Write it again whenever a RUN has, until all end.")
def report(run: Sequence[Path], out: Path, watch: bool) -> None:
    """Write one page about RUNs: curves, samples, settings, results.

    The page works offline, in any browser. The runs may still be training.
    """
    from charrnn_report import watching

    runs = [user_path(path) for path in dict.fromkeys(run)]
    watching.write_report(runs, user_path(out))
    say(f"wrote {out}")
    if watch:
        watching.watch(runs, user_path(out))
        say(f"wrote {out}: no training is going on")
