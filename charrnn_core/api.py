"""The verbs, for notebooks and larger programs: training, resuming, loading, writing, scoring.

The command line does nothing that these do not.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from charrnn_core.alphabet import Decoder
from charrnn_core.corpus import PARTS, Split
from charrnn_core.encoding import encode_corpus
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation import Evaluation, make_scorer
from charrnn_core.launch import Trained, resume, train
from charrnn_core.model import Model, build_sampler, load, require_plugins
from charrnn_core.randomness import random_key
from charrnn_core.sampling import encode_prompt, make_generator
from charrnn_core.sources import read_corpus
from charrnn_core.spec import Ref, parse_refs
from charrnn_core.terminal import to_stderr

__all__ = ["Trained", "evaluate", "generate", "load", "read_corpus", "resume", "stream", "train"]


def evaluate(
    model: Model,
    *,
    source: Ref | str | None = None,
    split: str | None = None,
    unknown: str = "error",
    note: Callable[[str], None] = to_stderr,
) -> Evaluation:
    """Score a text in one stateful pass.

    Arguments:
        model: from `load` or `train`.
        source: the text; by default the one the model was trained on.
        split: a preset, whose held-out part is read, or a part of the run's own preset: ``train``,
            ``valid``, ``test`` or ``all``. By default ``valid``, or ``all`` for another source.
        unknown: ``"error"`` or ``"skip"``: what to do with characters the alphabet lacks.

    Raises:
        CorpusError: the part is empty.
        UnknownSymbolError: the text has characters the alphabet lacks.

    Example::

        evaluate(load("runs/santa"), source="gutenberg:520").bits_per_char
    """
    corpus = read_corpus(source or model.config.source, model.registry, note)
    if source is None and corpus.sha256 != model.table["corpus"]["sha256"]:
        note(f"note: {corpus.origin} has changed since training; scoring the text as it is now")
    preset, part = model.config.split, split or ("valid" if source is None else "all")
    if part not in PARTS:
        preset, part = part, "valid"
    unit, cut = model.alphabet.unit, Split.named(preset)
    piece = cut.piece(encode_corpus(corpus, model.alphabet, unknown, note), part)
    if len(piece) < 2:
        raise CorpusError(
            f"the {part} part of split {preset!r} has {len(piece)} {unit}s; expected at "
            "least 2: choose another part or preset with --split"
        )
    nats, count = make_scorer(model.network)(model.params, piece), len(piece) - 1
    return Evaluation(nats_per_char=nats, characters=count, split=preset, part=part, symbol=unit)


def stream(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    sampler: str | None = None,
    seed: int = 0,
    n: int = 1,
    unknown: str = "error",
) -> Iterator[list[str]]:
    """Write text piece by piece: each item holds the next characters of all `n` samples.

    Arguments:
        model: from `load` or `train`.
        prompt: what the model reads first; empty stands for the beginning of a line.
        length: characters to write, per sample; bytes if the model's alphabet is of bytes.
        sampler: a sampler spec or a chain such as ``"top-p:0.9,temperature:0.7"``; by default the
            run's own.
        seed: decides what is drawn.
        n: how many samples to write at once.
        unknown: ``"error"`` or ``"skip"``: what to do with prompt characters the alphabet lacks.

    Raises:
        PluginError: the run's own sampler is not installed.
        UnknownSymbolError: the prompt has characters the alphabet lacks.
    """
    if sampler is None:
        require_plugins(model.table, "sampler", model.registry)
    refs = model.config.sampler if sampler is None else parse_refs(sampler)
    generator = make_generator(model.network, build_sampler(refs, model.registry))
    ids = encode_prompt(model.alphabet, prompt, unknown)
    pieces = generator(model.params, ids, length, random_key(seed, "sample"), n)
    return _decoded(pieces, [model.alphabet.decoder() for _ in range(n)])


def _decoded(pieces: Iterable[Any], decoders: list[Decoder]) -> Iterator[list[str]]:
    """Ids of n samples in pieces [K,n] to text; at the end, what is left of the last characters."""
    for piece in pieces:
        yield [decode(row) for decode, row in zip(decoders, piece.T, strict=True)]
    rest = [decode((), last=True) for decode in decoders]
    if any(rest):
        yield rest


def generate(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    sampler: str | None = None,
    seed: int = 0,
    unknown: str = "error",
) -> str:
    """Write text that continues a prompt; the arguments are those of `stream`.

    Example::

        generate(load("runs/santa"), "Santa ", length=100, sampler="temperature:0.5")
    """
    pieces = stream(model, prompt, length, sampler=sampler, seed=seed, unknown=unknown)
    return "".join(piece[0] for piece in pieces)
