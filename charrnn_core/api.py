"""The functions for notebooks and programs: train, resume, load, write, evaluate and score.

The command line offers nothing beyond these.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from charrnn_core.errors import OptionError
from charrnn_core.evaluation.evaluate import Scored, evaluate, score
from charrnn_core.evaluation.training_text import training_ids
from charrnn_core.public import public
from charrnn_core.randomness import random_key
from charrnn_core.registry.spec import parse_refs
from charrnn_core.runs.model import Model, build_sampler, load, require_plugins
from charrnn_core.sampling.chain import SamplerContext
from charrnn_core.sampling.draw import Drawer
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.sampling.text import FARTHEST, Written, can_write, read_stops, written
from charrnn_core.terminal import to_stderr
from charrnn_core.text.load import read_corpus
from charrnn_core.training.train import Trained, resume, train

__all__ = [
    "Scored",
    "Trained",
    "evaluate",
    "generate",
    "load",
    "read_corpus",
    "resume",
    "score",
    "stream",
    "train",
    "training_ids",
    "write",
]


def write(
    model: Model,
    prompt: str = "",
    length: int | None = 500,
    *,
    sampler: str | None = None,
    seed: int = 0,
    n: int = 1,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
    scored: bool = False,
    note: Callable[[str], None] = to_stderr,
) -> Iterator[list[Written]]:
    """Write text piece by piece: each item holds the next piece of all `n` samples.

    A piece has its text and, with `scored`, its characters with their log-probabilities in nats.

    Arguments:
        model: from `load` or `train`.
        prompt: what the model reads first; empty stands for the beginning of a line. For a model of
            documents it begins a document.
        length: characters per sample, or bytes if the alphabet is bytes. None is endless (strictly,
            2,147,483,647).
        sampler: a sampler spec or a chain such as ``"top-p:0.9,temperature:0.7"``; by default the
            run's own.
        seed: random seed, from 0 to 2**32 - 1.
        n: how many samples to write at once.
        unknown: ``"error"`` or ``"skip"``: what to do with prompt characters the alphabet lacks.
        stop: one or several strings; a sample ends before the first, which is not written.
        until_sentence: continue after `length` to the end of the sentence, for at most 1000
            characters; see `charrnn_core.sampling.text.Ending`.
        scored: whether to return the characters, too.
        note: called with a line for each stop string that the model can never write.

    Raises:
        PluginError: the run's own sampler is not installed.
        UnknownSymbolError: the prompt has characters the alphabet lacks.
        OptionError: a stop string is empty, the seed is out of bounds, or `until_sentence` is set
            without a length.
        SamplingError: while writing: the sampler left nothing to draw.

    Example::

        for [piece] in write(load("runs/santa"), "Santa ", until_sentence=True, scored=True):
            print(piece.text, [character.model for character in piece.characters])
    """
    if sampler is None:
        require_plugins(model.table, "sampler", model.registry)
    key, stops = random_key(seed, "sample"), read_stops(stop)
    for each in stops:
        if not can_write(each, model.alphabet):
            lacks = "it has characters that the model's alphabet lacks"
            note(f"note: no sample can end at the stop string {each!r}: {lacks}")
    refs = model.config.sampler if sampler is None else parse_refs(sampler)
    ids = encode_prompt(model.alphabet, prompt, unknown, model.network.separator)
    most, sentence_from = length, None
    if until_sentence:
        if length is None:
            raise OptionError("an endless text has no last sentence; expected a finite length")
        most, sentence_from = length + FARTHEST, length
    context = SamplerContext(model.alphabet, partial(training_ids, model))
    chain = build_sampler(refs, model.registry).bind(context)
    draw = Drawer(model.network, chain, scored)
    drawn = draw(model.params, ids, most, key, n)
    return written(drawn, model.alphabet, n, stops=stops, sentence_from=sentence_from)


@public
def stream(
    model: Model,
    prompt: str = "",
    length: int | None = 500,
    *,
    sampler: str | None = None,
    seed: int = 0,
    n: int = 1,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> Iterator[list[str]]:
    """Write text piece by piece: each item holds the next characters of all `n` samples.

    Takes the arguments of `write` and raises the same errors.

    Example::

        for [text] in stream(load("runs/santa"), "Santa ", length=None):
            print(text, end="", flush=True)
    """
    pieces = write(
        model,
        prompt,
        length,
        sampler=sampler,
        seed=seed,
        n=n,
        unknown=unknown,
        stop=stop,
        until_sentence=until_sentence,
    )
    return ([piece.text for piece in item] for item in pieces)


@public
def generate(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    sampler: str | None = None,
    seed: int = 0,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> str:
    """Write text that continues a prompt; the arguments are those of `write`.

    Example::

        generate(load("runs/santa"), "Santa ", length=100, sampler="temperature:0.5")
    """
    pieces = stream(
        model,
        prompt,
        length,
        sampler=sampler,
        seed=seed,
        unknown=unknown,
        stop=stop,
        until_sentence=until_sentence,
    )
    return "".join(text for [text] in pieces)
