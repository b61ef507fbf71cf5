"""The command ``charrnn score``: every character with its bits, as JSON Lines, and a total."""

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn_core.console.process_options import process_options
from charrnn_core.console.stdout import apart
from charrnn_core.runs.settings import source_with
from charrnn_core.terminal import emit, number, to_stderr
from charrnn_core.training.to_score import model_to_score

if TYPE_CHECKING:
    from charrnn_core.api import Scored

_PIECE = 4096
_LONG = 1e15

# Code that scores is imported inside the command: it imports jax, and --help must not.


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="[FILE]", required=False)
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of FILE.")
@click.option("--split", metavar="NAME", help="What to score: train, valid, test, all, or a split.")
@click.option("--mix", type=click.Choice(["ngram"]), help="Mix the model with n-gram counts.")
@click.option("--out", type=click.File("w", "utf-8"), help="Write the lines to this file.")
@click.option(
    "--streams",
    type=click.IntRange(min=1),
    help="Stretches to read in parallel; 1 for a single pass.",
)
@process_options(click.option)
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
def score(
    run: Path,
    source: str | None,
    source_opt: tuple[str, ...],
    out: Any,
    best: bool,
    processes: dict[str, Any],
    **options: Any,
) -> None:
    """Print how many bits each character of FILE costs the model of a RUN.

    FILE may be - or a source such as gutenberg:520; by default it is the run's held-out text. Lines
    of JSON go to standard output or --out, the total to standard error.
    """
    text = source_with(source, source_opt)
    how = {"last": not best, "debug": click.get_current_context().find_root().params["debug"]}
    with model_to_score(run, processes, options["streams"], **how) as model:
        if model is None:  # another process leads
            return
        from charrnn_core import api

        if not model.chosen.is_last:
            to_stderr(f"note: model from {model.chosen}")
        # A cell that prints must not disturb the output; guarding each character would be slow.
        pieces = apart(_pieces(api.score(model, source=text, **options)))
        scored = itertools.chain.from_iterable(pieces)
        write = functools.partial(emit, flush=False) if out is None else out.write
        to_stderr(write_lines(scored, write))


def _pieces(scored: Iterable["Scored"]) -> Iterator[list["Scored"]]:
    items = iter(scored)
    while piece := list(itertools.islice(items, _PIECE)):
        yield piece


def write_lines(scored: Iterable["Scored"], write: Callable[[str], Any]) -> str:
    """Write a line of JSON for each character; return the total in words.

    A line has ``char``, or ``byte`` for a model of bytes, and ``bits``; a character the alphabet
    lacks also has ``"unknown": true``, and no bits if it was skipped.

    >>> from charrnn_core.api import Scored
    >>> two = [Scored("a", 2.0), Scored("b", math.nan, False)]
    >>> write_lines(two, lambda line: print(line, end=""))
    {"char": "a", "bits": 2.0}
    {"char": "b", "bits": null, "unknown": true}
    '1 characters, 2.0 bits, 2.0000 bits and 1.3863 nats per character, 1 unknown'
    """
    counted = unknown = 0
    bits, symbol = 0.0, "character"
    for item in scored:
        symbol, key = ("byte", "byte") if isinstance(item.symbol, int) else (symbol, "char")
        skipped = not item.known and math.isnan(item.bits)
        shown = round(item.bits, 6) if math.isfinite(item.bits) else None  # JSON has no NaN
        line = {key: item.symbol, "bits": shown}
        write(json.dumps(line if item.known else {**line, "unknown": True}) + "\n")
        unknown += not item.known
        if not skipped:
            counted, bits = counted + 1, bits + item.bits
    mean = bits / max(counted, 1)
    total = f"{bits:,.1f}" if bits < _LONG else number(bits, 1)
    return (
        f"{counted:,} {symbol}s, {total} bits, {number(mean, 4)} bits and "
        f"{number(mean * math.log(2), 4)} nats per {symbol}, {unknown:,} unknown"
    )
