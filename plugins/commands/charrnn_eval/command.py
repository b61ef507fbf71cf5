"""The command ``charrnn eval``; it imports what needs jax when it runs, to keep --help fast."""

from pathlib import Path
from typing import Any

import click

from charrnn_core.console.process_options import process_options
from charrnn_core.console.stdout import kept_clean
from charrnn_core.runs.settings import source_with
from charrnn_core.terminal import say, say_json
from charrnn_core.training.to_score import model_to_score


@click.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--source", metavar="SPEC", help="The text  [default: the run's]")
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of --source.")
@click.option("--split", metavar="NAME", help="What to score: train, valid, test, all, or a split.")
@click.option("--dynamic", is_flag=True, help="Also score the text while the model learns from it.")
@click.option("--mix", type=click.Choice(["ngram"]), help="Also score it mixed with n-gram counts.")
@click.option(
    "--streams",
    type=click.IntRange(min=1),
    help="Stretches to read in parallel; 1 for a single pass.",
)
@process_options(click.option)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--unknown",
    type=click.Choice(["error", "skip", "escape"]),
    default="error",
    show_default=True,
    help="What to do with characters outside the model's alphabet; escape counts their cost.",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def evaluate(
    run: Path,
    as_json: bool,
    best: bool,
    source: str | None,
    source_opt: tuple[str, ...],
    processes: dict[str, Any],
    **options: Any,
) -> None:
    """Score held-out text with the model of a RUN and with simple baselines."""
    text = source_with(source, source_opt)
    how = {"last": not best, "debug": click.get_current_context().find_root().params["debug"]}
    with model_to_score(run, processes, options["streams"], **how) as model:
        if model is None:  # another process leads
            return
        from charrnn_core import api

        with kept_clean():
            result = api.evaluate(model, source=text, **options)
        if as_json:
            say_json(result.table())
        else:
            say("\n".join(result.lines()))
