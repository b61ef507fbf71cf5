"""A plugin for llm (https://llm.datasette.io): charrnn's runs are models, its commands commands.

Nothing here imports jax before a model writes, so that ``llm --help`` stays quick.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, cast

import click
import llm
from charrnn.cli import cli as charrnn
from llm.parts import TextPart
from pydantic import Field


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Offer every run in the folders of $CHARRNN_RUNS, or else in runs/, as charrnn/NAME."""
    found: dict[str, Path] = {}
    for folder in os.environ.get("CHARRNN_RUNS", "runs").split(os.pathsep):
        for config in sorted(Path(folder).glob("*/config.toml")):
            found.setdefault(config.parent.name, config.parent)
    for name, run in found.items():
        register(Run(f"charrnn/{name}", run))


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add charrnn's own commands: ``llm charrnn run``, ``llm charrnn info`` and all others."""
    cli.add_command(charrnn, "charrnn")


class Run(llm.Model):
    """A run of charrnn, which goes on with the text of a prompt.

    Arguments:
        model_id: what llm calls it.
        run: its directory.
    """

    can_stream = True

    class Options(llm.Options):
        """What ``-o NAME VALUE`` sets."""

        length: int = Field(500, ge=1, description="Characters to write")
        temperature: float | None = Field(
            None, ge=0, description="Below 1 for likelier text, above for bolder; 0: the likeliest"
        )
        sampler: str | None = Field(
            None, description="A sampler or a chain of them, such as top-p:0.9,temperature:0.7"
        )
        seed: int | None = Field(None, ge=0, lt=2**32, description="The same seed, the same text")
        stop: str | None = Field(None, description="End before this text")
        until_sentence: bool = Field(False, description="Finish the sentence after the length")
        unknown: Literal["error", "skip"] = Field(
            "error", description="What to do with characters of the prompt it does not know"
        )

    def __init__(self, model_id: str, run: Path) -> None:
        self.model_id, self.run = model_id, run

    def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.Response,
        conversation: llm.Conversation | None,
    ) -> Iterator[str]:
        """Write; a conversation is one text, to which every prompt adds."""
        from charrnn_core import CharRNNError, load
        from charrnn_core import stream as write

        options = cast(Run.Options, prompt.options)
        seed = secrets.randbits(32) if options.seed is None else options.seed
        begun, count = _text(prompt.messages), 0
        try:
            model = load(self.run)
            response.response_json = {"seed": seed, "model": str(model.chosen)}
            pieces = write(
                model, begun, options.length,
                sampler=_sampler(options), seed=seed, unknown=options.unknown,
                stop=options.stop or (), until_sentence=options.until_sentence,
            )  # fmt: skip
            for [piece] in pieces:
                count += len(piece)
                yield piece
        except CharRNNError as error:
            raise llm.ModelError(str(error)) from error
        response.set_usage(input=len(begun), output=count)


def _sampler(options: Run.Options) -> str | None:
    """Return the chain of samplers that the options ask for; None is the run's own."""
    if options.temperature is None:
        return options.sampler
    if options.sampler is not None:
        raise llm.ModelError(
            "both sampler and temperature are set; expected one, such as "
            f"-o sampler {options.sampler},temperature:{options.temperature:g}"
        )
    return "greedy" if options.temperature == 0 else f"temperature:{options.temperature}"


def _text(messages: Iterable[llm.Message]) -> str:
    """Return all that was said, the answers included, as one text."""
    parts = (part for message in messages for part in message.parts)
    return "".join(part.text for part in parts if isinstance(part, TextPart))
