"""Evaluation of a model on a text: choose the part to score, score it, compare with baselines."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from charrnn_core.cell import Params
from charrnn_core.errors import CharRNNError, CorpusError, UnknownNameError
from charrnn_core.evaluation.comparison import Comparison, ScoredPart
from charrnn_core.evaluation.dynamic import Dynamic
from charrnn_core.evaluation.mixing import Mixture
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.scoring import Nats, Scorer
from charrnn_core.evaluation.training_text import text_again, training_ids
from charrnn_core.evaluation.unknown import UNKNOWN, find_unknown
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.public import public
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model
from charrnn_core.sampling.mixing import MIXTURES
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.terminal import to_stderr
from charrnn_core.text.alphabet import ByteAlphabet, Ids
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.text.split import PARTS, Piece, Split, count_characters


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


@public
def evaluate(
    model: Model,
    *,
    source: Ref | str | None = None,
    split: str | None = None,
    unknown: str = "error",
    dynamic: bool = False,
    mix: str | None = None,
    streams: int | None = None,
    baselines: bool = True,
    note: Callable[[str], None] = to_stderr,
) -> Evaluation:
    """Score every character of a text, predicting each from all before it.

    Arguments:
        model: from `load` or `train`.
        source: the text; by default the one the model was trained on.
        split: a preset, whose held-out part is read, or a part of the run's own preset: ``train``,
            ``valid``, ``test`` or ``all``. By default ``valid``, or ``all`` for another source.
        unknown: ``"error"``, ``"skip"`` or ``"escape"``: what to do with characters the alphabet
            lacks, see `charrnn_core.evaluation.unknown`.
        dynamic: also score the text while the model keeps learning from it.
        mix: ``"ngram"`` to score it also with the model mixed with n-gram counts, which keep
            counting; see `charrnn_core.evaluation.mixing`.
        streams: how many stretches of the text to read in parallel; 1 is the literal single pass.
        baselines: also compute n-gram and xz baselines.
        note: called with each line that the user should see.

    Raises:
        CorpusError: the part is empty.
        UnknownSymbolError: the text has characters the alphabet lacks.

    Example::

        evaluate(load("runs/santa"), source="gutenberg:520").bits_per_char
    """
    text = _choose(model, source, split, unknown, note)
    remarks, training = text.remarks(), None
    if text.trained_on:
        remarks[-1] += ", so no baselines are computed"
    elif baselines:
        try:
            training = text.training()
        except CharRNNError as error:  # the run's own text is missing; the model needs only `text`
            remarks.append(f"no baselines: {error}")
    comparison = Comparison(text, training)
    mixture = _mixture(model, text, mix)
    own, mixed = _rows(text, "model", *_predictor(model, streams), mixture)
    alone = None
    if COUNTS in model.params:
        network = _predictor(model, streams, without_counts(model.params))
        alone, _ = _rows(text, "network alone", *network, None)
    adapted = both = None
    if dynamic:
        learner = Dynamic(model.network, model.params, text.training(), programs=model.programs)
        adapted, both = _rows(text, learner.name, learner.score, learner.log_p, mixture)
    return comparison.evaluation(
        own,
        chosen=model.chosen,
        alone=alone,
        mixed=mixed,
        dynamic=adapted,
        dynamic_mixed=both,
        remarks=remarks,
        course=model.course() if text.watched else None,
    )


@public
def score(
    model: Model,
    *,
    source: Ref | str | None = None,
    split: str | None = None,
    unknown: str = "error",
    mix: str | None = None,
    streams: int | None = None,
    note: Callable[[str], None] = to_stderr,
) -> Iterator[Scored]:
    """Yield the bits of every character of a text, in order; their mean is `evaluate`'s result.

    Takes the arguments of `evaluate` and raises the same errors. With `mix` they are the bits of
    the mixture.

    Example::

        sum(scored.bits for scored in score(load("runs/santa"), source="letter.txt"))
    """
    text = _choose(model, source, split, unknown, note)
    if text.part != "all":
        note(f"note: scoring the {text.part} part of {text.split}")
    for remark in text.remarks():
        note(f"note: {remark}")
    nats, log_p = _predictor(model, streams)
    mixture = _mixture(model, text, mix)
    if mixture is None:
        return text.scored(nats(text.pieces))
    return text.scored(mixed for _, mixed in mixture.nats(log_p(text.pieces), text.pieces))


_Predictor = Callable[[Sequence[Piece]], Iterator[Nats]]


def _predictor(
    model: Model, streams: int | None, params: Params | None = None
) -> tuple[_Predictor, _Predictor]:
    """Return what yields the nats of pieces, and what yields the log-probabilities.

    Arguments:
        params: other parameters than the model's.
    """
    params = model.params if params is None else params
    scorer = model.programs.get(("score", streams), lambda: Scorer(model.network, streams=streams))
    return partial(scorer, params), partial(scorer.log_p, params)


def _mixture(model: Model, text: "_Text", mix: str | None) -> Mixture | None:
    """Return what mixes a model with what is requested."""
    if mix is None:
        return None
    if mix not in MIXTURES:
        raise UnknownNameError("mixture", mix, MIXTURES)
    return Mixture(text.training(), len(model.alphabet), programs=model.programs)


def _rows(
    text: "_Text", name: str, nats: _Predictor, log_p: _Predictor, mixture: Mixture | None
) -> tuple[Row, Row | None]:
    """Return the row of a predictor and, in the same pass, that of its mixture."""
    if mixture is None:
        return text.tally(nats(text.pieces)).row(name), None
    own, mixed = zip(*mixture.nats(log_p(text.pieces), text.pieces), strict=True)
    kind, _, _ = name.partition(",")
    mixed_name = mixture.name if kind == "model" else f"{kind}, {mixture.name}"
    return text.tally(own).row(name), text.tally(mixed).row(mixed_name)


@dataclass(frozen=True, kw_only=True)
class _Text(ScoredPart):
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


def _choose(
    model: Model,
    source: Ref | str | None,
    split: str | None,
    unknown: str,
    note: Callable[[str], None],
) -> _Text:
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
    return _Text(
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
