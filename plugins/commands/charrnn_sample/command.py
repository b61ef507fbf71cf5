"""The command ``charrnn sample``; it imports what needs jax when it runs, to keep --help fast."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from charrnn_core.console.stdout import apart, kept_clean
from charrnn_core.errors import OptionError
from charrnn_core.terminal import emit, printable, say, tell_of_waiting, to_stderr
from charrnn_core.text.decode import decode_text, encode_text

if TYPE_CHECKING:
    from charrnn_core.runs.model import Model
    from charrnn_core.sampling.text import Written


class _Length(click.ParamType):
    """A number of characters, or ``inf``, which is converted to None."""

    name = "INT|inf"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        return None if value == "inf" else click.IntRange(min=1).convert(value, param, ctx)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", help="The text that the model reads first.")
@click.option(
    "--prompt-file", type=click.File("rb"), help="Read the prompt from a file (- for stdin)."
)
@click.option("--hide-prompt", is_flag=True, help="Show only what the model writes.")
@click.option(
    "--length",
    type=_Length(),
    default="500",
    show_default=True,
    help="Characters to write; inf to write until interrupted.",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="End before TEXT; may be repeated.")
@click.option("--until-sentence", is_flag=True, help="After --length, finish the sentence.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed."
)
@click.option(
    "--n", type=click.IntRange(min=1), default=1, show_default=True, help="Number of samples."
)
@click.option("--sampler", metavar="SPEC", help="A sampler or a chain  [default: the run's]")
@click.option(
    "--mix",
    type=click.Choice(["ngram"]),
    help="Mix the model with n-gram counts of its training text.",
)
@click.option(
    "--color",
    type=click.Choice(["always", "auto", "never"]),
    is_flag=False,
    flag_value="always",
    default="never",
    show_default=True,
    help="Colour every character by its surprise; auto: only on a terminal; no value: always.",
)
@click.option(
    "--log-probs",
    type=click.File("w", "utf-8"),
    help="Write one JSON object per character to a file, or to standard output (-) instead of the "
    "text.",
)
@click.option(
    "--unknown",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with prompt characters outside the model's alphabet.",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def sample(
    run: Path,
    prompt: str | None,
    prompt_file: Any,
    hide_prompt: bool,
    color: str,
    log_probs: IO[str] | None,
    best: bool,
    **options: Any,
) -> None:
    """Generate text with the model of a RUN (a run directory or a checkpoint)."""
    if prompt is not None and prompt_file is not None:
        raise OptionError("--prompt and --prompt-file are both given; expected only one of them")
    endless = options["length"] is None
    if endless and options["n"] > 1:
        raise OptionError(f"--length inf works with one sample only; got --n {options['n']}")

    from charrnn_core.runs.opening import check_run

    check_run(run)
    from charrnn_core import api

    with kept_clean():
        model = api.load(run, last=not best)
    if not model.chosen.is_last:
        to_stderr(f"note: model from {model.chosen}")
    prompt = _read(prompt_file, model) if prompt_file is not None else prompt or ""
    colours = color == "always" or (color == "auto" and _wants_colours())
    pieces = apart(api.write(model, prompt, scored=colours or log_probs is not None, **options))
    try:
        if log_probs is not None:
            pieces = _logged(pieces, log_probs.write)
        if log_probs is not None and log_probs.name == sys.stdout.name:  # click has wrapped stdout
            for _ in pieces:
                pass
        else:
            _show(pieces, "" if hide_prompt else prompt, options["n"], colours)
    except KeyboardInterrupt:
        if not endless:
            raise
        say()


def _read(prompt_file: Any, model: "Model") -> str:
    errors = "escape" if model.alphabet.kind == "bytes" else "strict"
    tell_of_waiting(prompt_file, "the prompt")
    return decode_text(prompt_file.read(), f"the prompt in {prompt_file.name}", errors=errors)


def _wants_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _show(pieces: "Iterator[list[Written]]", prompt: str, n: int, colours: bool) -> None:
    """Print a single sample as it is written, or several samples in turn once all are complete."""
    shown: Callable[[str], str | bytes] = encode_text
    if colours or sys.stdout.isatty():
        shown = printable
    if colours:
        from charrnn_sample.colour import coloured, legend

        emit(f"{legend()}\n", err=True)

        def text_of(piece: "Written") -> str | bytes:
            return coloured(piece.characters)
    else:

        def text_of(piece: "Written") -> str | bytes:
            return shown(piece.text)

    if n == 1:
        emit(shown(prompt))
        for [piece] in pieces:
            emit(text_of(piece))
        say()
        return
    for number, sample in enumerate(zip(*pieces, strict=True), start=1):
        say(f"--- {number} ---")
        emit(shown(prompt))
        for piece in sample:
            emit(text_of(piece))
        say()


def _logged(
    pieces: "Iterator[list[Written]]", write: Callable[[str], Any]
) -> "Iterator[list[Written]]":
    """Yield the same pieces, after writing a line of JSON for each of their characters."""
    counts: dict[int, int] = {}
    for piece in pieces:
        for number, written in enumerate(piece):
            for character in written.characters:
                counts[number] = counts.get(number, 0) + 1
                row = {
                    "sample": number + 1,
                    "position": counts[number],
                    "char": character.text,
                    "log_p_model": round(character.model, 6),
                    "log_p_sampler": round(character.sampler, 6),
                }
                write(json.dumps(row) + "\n")
        yield piece
