"""The part of a text that a model is scored on: read, cut out, and what the model knows of it."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from charrnn_core.errors import CorpusError, UnknownNameError
from charrnn_core.evaluation.comparison import ScoredPart
from charrnn_core.evaluation.scoring import Nats
from charrnn_core.evaluation.training_text import text_again, training_ids
from charrnn_core.evaluation.unknown import UNKNOWN, find_unknown
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.alphabet import ByteAlphabet, Ids
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.text.split import PARTS, Split, count_characters


class Scored(NamedTuple):
    """A character and its cost.

    Fields:
        symbol: the character, or the number of a byte if the alphabet is bytes.
        bits: its cost; NaN for a character that was skipped.
        known: whether the alphabet has it.
    """

    symbol: str | int
    bits: float
    known: bool = True


@dataclass(frozen=True, kw_only=True)
class ChosenText(ScoredPart):
    """The part of a text that is scored, and what a model knows of it.

    Arguments:
        trained_on: whether the model was trained on some of it.
        watched: whether it is the text that was evaluated during training.
        training: returns the ids of the training text.
    """

    trained_on: bool
    watched: bool
    training: Callable[[], Ids]

    def remarks(self) -> list[str]:
        """Return what a reader of the figures has to know."""
        remarks = []
        if count := len(self.unknown.places):
            how = f"skipped; the figures cover the {self.characters:,} known characters"
            if self.unknown.escape:
                bits = self.unknown.cost / math.log(2)
                how = f"among the {self.characters:,}, at {bits:.2f} bits each"
            remarks.append(f"{count:,} unknown characters are {how}")
        if self.trained_on:
            remarks.append("the model was trained on this text")
        return remarks

    def scored(self, nats: Iterable[Nats]) -> Iterator[Scored]:
        """Yield every character and its bits, in order."""
        ids = (int(item) for piece in self.pieces for item in piece.ids)
        symbols = None if isinstance(self.alphabet, ByteAlphabet) else self.alphabet.symbols
        lacking = iter(self.unknown.symbols)
        for some, known in self.unknown.among(nats):
            for bits, knows in zip((some / math.log(2)).tolist(), known.tolist(), strict=True):
                if not knows:
                    yield Scored(next(lacking), bits, False)
                else:
                    number = next(ids)
                    yield Scored(number if symbols is None else symbols[number], bits)


def choose_text(
    model: Model,
    source: Ref | str | None,
    split: str | None,
    unknown: str,
    note: Callable[[str], None],
) -> ChosenText:
    """Read the text and cut out the part to score; the arguments are those of `evaluate`."""
    if unknown not in UNKNOWN:
        raise UnknownNameError("treatment of unknown characters", unknown, UNKNOWN)
    trained = model.table["corpus"]
    corpus = read_corpus(source, model.registry, note) if source else text_again(model, note)
    same_text = corpus.sha256 == trained["sha256"]
    if source is None and not same_text:
        note(f"note: {corpus.origin} has changed since training; scoring the text as it is now")
    preset, part = model.config.split, split or ("valid" if source is None else "all")
    if part not in PARTS:
        preset, part = part, "valid"
    alphabet, cut = model.alphabet, Split.named(preset)
    ids = encode_corpus(corpus, alphabet, "error" if unknown == "error" else "skip", note)
    beginning = encode_prompt(alphabet, "", separator=model.network.separator)
    pieces = cut.pieces(ids, part, int(beginning[0]))
    if not count_characters(pieces):
        raise CorpusError(
            f"the {part} part of split {preset!r} has 0 {alphabet.unit}s; expected at least 1: "
            "choose another part or preset with --split"
        )
    own, ranges = Split.named(model.config.split), cut.ranges(len(ids), part)

    def training() -> Ids:
        if source is None or same_text:
            return own.training(ids)
        return training_ids(model, note)

    escape = 1 / (int(trained["characters"]) + 1) if unknown == "escape" else 0.0
    return ChosenText(
        alphabet=alphabet,
        split=preset,
        part=part,
        pieces=pieces,
        unknown=find_unknown(corpus, alphabet, escape).within(ranges, len(ids)),
        trained_on=same_text and _overlap(ranges, own.ranges(len(ids), "train")),
        watched=same_text
        and ranges == own.ranges(len(ids), "valid")
        and count_characters(pieces) <= model.config.eval_characters,
        training=training,
    )


def _overlap(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    return any(a < d and c < b for a, b in some for c, d in others)
