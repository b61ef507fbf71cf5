"""The command ``charrnn inspect``."""

from pathlib import Path

import click

from charrnn_core.console.stdout import kept_clean
from charrnn_core.devices import use_every_core
from charrnn_core.runs.settings import source_with
from charrnn_core.terminal import say, to_stderr

# Code that reads a model is imported inside the command: it imports jax, and --help must not.


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="[TEXT]", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="inspect.html",
    show_default=True,
    help="Write the page to this file.",
)
@click.option(
    "--characters",
    type=click.IntRange(min=2),
    default=5000,
    show_default=True,
    help="Read so many characters of the text.",
)
@click.option(
    "--units",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Put the values of so many units into the page.",
)
@click.option(
    "--model/--no-model",
    "wanted",
    default=None,
    help="Put the model into the page, which then reads what a visitor types "
    "(default: put it there if the page stays below 1 MB).",
)
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of TEXT.")
@click.option("--split", metavar="NAME", help="What to read: train, valid, test, all, or a split.")
@click.option(
    "--unknown",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with characters outside the model's alphabet.",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def inspect(
    run: Path,
    source: str | None,
    out: Path,
    characters: int,
    units: int,
    wanted: bool | None,
    source_opt: tuple[str, ...],
    split: str | None,
    unknown: str,
    best: bool,
) -> None:
    """Make a page that shows what the units of a RUN's network do while it reads TEXT.

    TEXT may be a file, - or a source such as gutenberg:520; by default it is the run's held-out
    text. The page is one file that needs no network: the text coloured by any unit, the units that
    follow quotations, brackets, lines or words, the gates, and what each prediction depends on.
    """
    from charrnn_core.runs.opening import check_run

    check_run(run)
    text = source_with(source, source_opt)
    use_every_core()
    from charrnn_core.api import load
    from charrnn_core.evaluation.chosen_text import choose_text
    from charrnn_core.files.atomic import user_path, write_atomically
    from charrnn_inspect.analysis import analyse
    from charrnn_inspect.enclosed import MOST_BYTES, enclosed
    from charrnn_inspect.page import inspection_page
    from charrnn_inspect.subject import subject_of

    model = load(run, last=not best)
    if not model.chosen.is_last:
        to_stderr(f"note: model from {model.chosen}")
    with kept_clean():
        part = choose_text(model, text, split, unknown, to_stderr)
        for remark in part.remarks():
            to_stderr(f"note: {remark}")
        found = analyse(model, part.pieces, characters)
    subject = subject_of(model, run, part, source)
    bare = len(inspection_page(subject, found, units).encode())
    with kept_clean():
        reader = enclosed(model, wanted, MOST_BYTES - bare)
    page = inspection_page(subject, found, units, reader).encode()
    write_atomically(user_path(out), [page])
    if reader.data is None and wanted is not False:
        to_stderr(f"note: {reader.words}")
    say(f"{out}: {len(page) / 1000:,.0f} kB; open it in any browser, it needs nothing else")
