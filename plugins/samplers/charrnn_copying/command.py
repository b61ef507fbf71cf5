"""The command ``charrnn novelty``; what it needs is imported inside it, for it needs jax."""

import sys
from pathlib import Path

import click

from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import OptionError
from charrnn_core.files.atomic import explained
from charrnn_core.files.regular import read_named
from charrnn_core.terminal import say, say_json, tell_of_waiting
from charrnn_core.text.decode import decode_text


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument(
    "file",
    metavar="[TEXT]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--text", help="The text itself, instead of a file.")
@click.option(
    "--longer-than",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Count a verbatim passage as copied if it is longer than this.",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Number of longest matches to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def novelty(
    run: Path, file: str | None, text: str | None, longer_than: int, top: int, as_json: bool
) -> None:
    """Show which passages of a TEXT are copied from the training text of a RUN.

    TEXT is a file, or - for standard input. Positions in TEXT and the training part count from 0.
    """
    if (file is None) == (text is None):
        got = "neither" if text is None else "both"
        raise OptionError(f"expected a file of text, or --text; got {got}")

    from charrnn_core.runs.opening import check_run

    check_run(run)
    from charrnn_copying.novelty import compare
    from charrnn_core import api

    with kept_clean():
        model = api.load(run)
    if file is not None:
        errors = "escape" if model.alphabet.kind == "bytes" else "strict"
        name = "standard input" if file == "-" else file
        text = decode_text(_read(file), name, errors=errors)
    with kept_clean():
        training = api.training_ids(model)
    result = compare(text or "", training, model.alphabet, longer_than, top)
    if as_json:
        say_json(result.table())
    else:
        say("\n".join(result.lines()))


def _read(file: str) -> bytes:
    if file == "-":
        tell_of_waiting(sys.stdin, "the text")
        return sys.stdin.buffer.read()
    with explained("read", file):
        return read_named(Path(file))
