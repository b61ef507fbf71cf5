"""The command ``charrnn card``; it imports what reads a run when it runs, to keep --help fast."""

from pathlib import Path

import click

from charrnn_core.files.atomic import user_path, write_atomically
from charrnn_core.terminal import emit, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file, such as README.md  [default: print]."
)
@click.option("--name", "title", help="The model's name  [default: the run's].")
@click.option("--license", "licence", help="The model's licence, such as apache-2.0.")
@click.option(
    "--language", "languages", multiple=True, help="A language of the text, such as en; repeatable."
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def card(
    run: Path,
    out: Path | None,
    title: str | None,
    licence: str | None,
    languages: tuple[str, ...],
    best: bool,
) -> None:
    """Write a model card of a RUN, with the metadata of Hugging Face.

    It says what the run's files say: text, cell, size, training and held-out results. Licence and
    language are not in them; the options add them.
    """
    from charrnn_core.runs.opening import check_run

    check_run(run)
    from charrnn_card.card import card_of
    from charrnn_card.facts import Facts

    facts = Facts.read(run, last=not best, title=title)
    text = card_of(facts, licence, languages)
    if out is None:
        emit(text)
        return
    write_atomically(user_path(out), [text.encode()])
    say(f"wrote {out}")
