"""The command ``charrnn export``; it imports what needs jax when it runs, to keep --help fast."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charrnn_core.devices import use_every_core
from charrnn_core.files.atomic import user_path, write_atomically
from charrnn_core.terminal import say, to_stderr

if TYPE_CHECKING:
    from charrnn_export.variant import Variant


def _html(variant: "Variant") -> str:
    from charrnn_export.page import html

    return html(variant)


TARGETS: dict[str, Callable[["Variant"], str]] = {"html": _html}
"""What a model can be made into: the end of the file's name, and what returns its text."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to", "target", type=click.Choice(list(TARGETS)), default="html", show_default=True,
    help="What to make: html is a page that writes text in any browser, offline.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="The file  [default: the run's name].")
@click.option("--float16", is_flag=True, help="Store numbers in half the space.")
@click.option(
    "--counts/--no-counts",
    default=None,
    help="Include the table of counts, or export the network alone "
    "(default: include it if it adds at most 1 MB).",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def export(
    run: Path, target: str, out: Path | None, float16: bool, counts: bool | None, best: bool
) -> None:
    """Make one file of the model of a RUN, which works without charrnn.

    The command measures on held-out text what it exports, and what it leaves out.
    """
    from charrnn_core.runs.opening import check_run

    check_run(run)
    use_every_core()
    from charrnn_core.runs.model import load
    from charrnn_export.variant import Variant

    model = load(run, last=not best)
    if not model.chosen.is_last:
        to_stderr(f"note: model from {model.chosen}")
    variant = Variant.of(model, counts=counts, float16=float16)
    text = TARGETS[target](variant)
    path = user_path(out or Path(f"{user_path(run).resolve().stem}.{target}"))
    data = text.encode()
    write_atomically(path, [data])
    for line in variant.remarks():
        say(line)
    say(f"wrote {path}, {len(data) / 1e6:.2f} MB; open it in any browser")
