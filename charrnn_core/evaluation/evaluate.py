"""Evaluation of a model on a text: score it, compare it with baselines, add up what it says."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from charrnn_core.cell import Params
from charrnn_core.errors import CharRNNError, OptionError, UnknownNameError, expect, shown
from charrnn_core.evaluation.chosen_text import ChosenText, Scored, choose_text
from charrnn_core.evaluation.comparison import Comparison
from charrnn_core.evaluation.dynamic import Dynamic
from charrnn_core.evaluation.mixing import Mixture
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.scoring import Nats, Scorer
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.public import public
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model
from charrnn_core.sampling.mixing import MIXTURES
from charrnn_core.terminal import to_stderr
from charrnn_core.text.given import is_file, text_ref
from charrnn_core.text.split import Piece


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
    expect("model", model, Model, "a Model, from load or train")
    text = choose_text(model, source, split, unknown, note)
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
    text: str | Sequence[str] | None = None,
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
    the mixture. A `text`, or a list of documents, is scored in place of a source.

    Example::

        sum(scored.bits for scored in score(load("runs/santa"), source="letter.txt"))
        sum(scored.bits for scored in score(load("runs/santa"), "Ho ho ho."))
    """
    expect("model", model, Model, "a Model, from load or train")
    expect("text", text, str | Sequence | None, "a text, or a list of documents")
    if text is not None:
        if source is not None:
            raise OptionError(f"score has a text and also the source {shown(source)}; give one")
        if isinstance(text, str) and is_file(text):
            note(
                f"note: scoring the {len(text)} characters {text!r} themselves, not the file of "
                f"that name; for the file: score(model, source={text!r})"
            )
        source = text_ref(text)
    chosen = choose_text(model, source, split, unknown, note)
    if chosen.part != "all":
        note(f"note: scoring the {chosen.part} part of {chosen.split}")
    for remark in chosen.remarks():
        note(f"note: {remark}")
    nats, log_p = _predictor(model, streams)
    mixture = _mixture(model, chosen, mix)
    if mixture is None:
        return chosen.scored(nats(chosen.pieces))
    return chosen.scored(mixed for _, mixed in mixture.nats(log_p(chosen.pieces), chosen.pieces))


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


def _mixture(model: Model, text: ChosenText, mix: str | None) -> Mixture | None:
    """Return what mixes a model with what is requested."""
    if mix is None:
        return None
    if mix not in MIXTURES:
        raise UnknownNameError("mixture", mix, MIXTURES)
    return Mixture(text.training(), len(model.alphabet), programs=model.programs)


def _rows(
    text: ChosenText, name: str, nats: _Predictor, log_p: _Predictor, mixture: Mixture | None
) -> tuple[Row, Row | None]:
    """Return the row of a predictor and, in the same pass, that of its mixture."""
    if mixture is None:
        return text.tally(nats(text.pieces)).row(name), None
    own, mixed = zip(*mixture.nats(log_p(text.pieces), text.pieces), strict=True)
    kind, _, _ = name.partition(",")
    mixed_name = mixture.name if kind == "model" else f"{kind}, {mixture.name}"
    return text.tally(own).row(name), text.tally(mixed).row(mixed_name)
