"""What a page is about, in words."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from charrnn_core.evaluation.chosen_text import ChosenText
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model
from charrnn_core.text.alphabet import Alphabet


@dataclass(frozen=True)
class Subject:
    """What a page is about, in words and symbols.

    Arguments:
        run: the name of the run.
        network: the network, in a few words.
        text: the text, in a few words.
        alphabet: the symbols.
    """

    run: str
    network: str
    text: str
    alphabet: Alphabet


def subject_of(model: Model, run: Path, part: ChosenText, source: str | None) -> Subject:
    """Name a run and the text that it reads.

    Arguments:
        source: the text as the user named it; None for the run's own.
    """
    name = str(model.table["corpus"]["name"]) if source is None else source
    # The folder that a file is in is nobody's business.
    text = "standard input" if name == "-" else PurePath(name).name
    if part.part != "all":
        text = f"{text}, the {part.part} part of {part.split}"
    network = f"{_spec(model.config.cell)} with {model.parameters:,} parameters"
    return Subject(run.resolve().name, network, text, model.alphabet)


def _spec(ref: Ref) -> str:
    return ref.use if ref.argument is None else f"{ref.use}:{ref.argument}"
