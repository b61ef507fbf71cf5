"""The functions for notebooks and programs: train, resume, load, write, evaluate and score.

The command line offers nothing beyond these.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np

from charrnn_core.errors import OptionError, UnknownNameError, expect, shown
from charrnn_core.evaluation.evaluate import Scored, evaluate, score
from charrnn_core.evaluation.training_text import training_ids
from charrnn_core.public import public
from charrnn_core.randomness import random_key
from charrnn_core.registry.spec import parse_refs
from charrnn_core.runs.model import Model, build_sampler, load, require_plugins
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.draw import Drawer
from charrnn_core.sampling.mixing import MIXTURES
from charrnn_core.sampling.ngrams import NGramMixture
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.sampling.text import FARTHEST, Written, can_write, read_stops, written
from charrnn_core.terminal import to_stderr
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.load import read_corpus

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Import what trains on first use, since reading a model needs neither it nor optax."""
    if name not in ("Trained", "resume", "train"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("charrnn_core.training.train"), name)


def write(
    model: Model,
    prompt: str = "",
    length: int | None = 500,
    *,
    prompts: Iterable[str] | None = None,
    sampler: str | None = None,
    mix: str | None = None,
    seed: int = 0,
    n: int = 1,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
    scored: bool = False,
    note: Callable[[str], None] = to_stderr,
) -> Iterator[list[Written]]:
    """Write text piece by piece: each item holds the next piece of all samples.

    A piece has its text and, with `scored`, its characters with their log-probabilities in nats.
    What is compiled for a sampler, a number of samples and a length of prompts is kept with the
    model, so that the next call takes milliseconds.

    Arguments:
        model: from `load` or `train`.
        prompt: what the model reads first; empty stands for the beginning of a line. For a model of
            documents it begins a document.
        length: characters per sample, or bytes if the alphabet is bytes. None is endless (strictly,
            2,147,483,647).
        prompts: several prompts, instead of one: a sample continues each, as it would alone, since
            the seed means the same for every one of them.
        sampler: a sampler spec or a chain such as ``"top-p:0.9,temperature:0.7"``; by default the
            run's own.
        mix: ``"ngram"`` to mix the model with n-gram counts of its training text, which is read
            again for that; the samplers shape the mixture.
        seed: random seed, from 0 to 2**32 - 1.
        n: how many samples of one prompt to write at once.
        unknown: ``"error"`` or ``"skip"``: what to do with prompt characters the alphabet lacks.
        stop: one or several strings; a sample ends before the first, which is not written.
        until_sentence: continue after `length` to the end of the sentence, for at most 1000
            characters; see `charrnn_core.sampling.text.Ending`.
        scored: whether to return the characters, too.
        note: called with a line for each stop string that the model can never write.

    Raises:
        PluginError: the run's own sampler is not installed.
        UnknownSymbolError: the prompt has characters the alphabet lacks.
        UnknownNameError: there is no such mixture.
        CorpusError, SourceError: the training text that a mixture counts has changed or is missing.
        OptionError: a stop string is empty, the seed is out of bounds, `until_sentence` is set
            without a length, or `prompts` are given with a prompt or a number of samples.
        SamplingError: while writing: the sampler left nothing to draw.

    Example::

        for [piece] in write(load("runs/santa"), "Santa ", until_sentence=True, scored=True):
            print(piece.text, [character.model for character in piece.characters])
    """
    expect("model", model, Model, "a Model, from load or train")
    expect("length", length, SupportsIndex | None, "a number of characters, or None")
    expect("n", n, SupportsIndex, "a number of samples")
    expect("sampler", sampler, str | None, "a sampler spec, such as 'temperature:0.5'")
    key, stops = random_key(seed, "sample"), read_stops(stop)
    for each in stops:
        if not can_write(each, model.alphabet):
            lacks = "it has characters that the model's alphabet lacks"
            note(f"note: no sample can end at the stop string {each!r}: {lacks}")
    ids = _read_prompts(model, prompt, prompts, n, unknown)
    rows = n if isinstance(ids, np.ndarray) else len(ids)
    most, sentence_from = length, None
    if until_sentence:
        if length is None:
            raise OptionError("an endless text has no last sentence; expected a finite length")
        most, sentence_from = length + FARTHEST, length
    draw = _drawer(model, sampler, mix, rows, scored)
    drawn = draw(model.params, ids, most, key, n) if rows else ()
    return written(drawn, model.alphabet, rows, stops=stops, sentence_from=sentence_from)


def _read_prompts(
    model: Model, prompt: str, prompts: Iterable[str] | None, n: int, unknown: str
) -> Ids | list[Ids]:
    """Return the ids of one prompt, or of several."""

    def read(prompt: str) -> Ids:
        expect("a prompt", prompt, str, "a text")
        return encode_prompt(model.alphabet, prompt, unknown, model.network.separator)

    if prompts is None:
        return read(prompt)
    if prompt or n != 1:
        got = f"the prompt {shown(prompt)}" if prompt else f"n {n}"
        raise OptionError(f"prompts are given and also {got}; expected prompts alone")
    expect("prompts", prompts, Iterable, "a list, or use prompt")
    if isinstance(prompts, str):
        raise OptionError(f"prompts is {shown(prompts)}; expected a list, or use prompt")
    return [read(each) for each in prompts]


def _drawer(model: Model, sampler: str | None, mix: str | None, rows: int, scored: bool) -> Drawer:
    """Return what draws from a model, kept by it: for a sampler, a mixture and a number of rows."""
    if mix not in (None, *MIXTURES):
        raise UnknownNameError("mixture", mix, MIXTURES)
    refs = model.config.sampler if sampler is None else parse_refs(sampler)

    def chain() -> Chain:
        if sampler is None:
            require_plugins(model.table, "sampler", model.registry)
        context = SamplerContext(model.alphabet, partial(training_ids, model))
        chain = build_sampler(refs, model.registry).bind(context)
        return chain if mix is None else Chain([NGramMixture().bind(context), *chain.samplers])

    def draw() -> Drawer:
        return Drawer(model.network, model.programs.get(("sampler", refs, mix), chain), scored)

    return model.programs.get(("draw", refs, mix, rows, scored), draw)


@public
def stream(
    model: Model,
    prompt: str = "",
    length: int | None = 500,
    *,
    prompts: Iterable[str] | None = None,
    sampler: str | None = None,
    mix: str | None = None,
    seed: int = 0,
    n: int = 1,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> Iterator[list[str]]:
    """Write text piece by piece: each item holds the next characters of all samples.

    Takes the arguments of `write` and raises the same errors.

    Example::

        for [text] in stream(load("runs/santa"), "Santa ", length=None):
            print(text, end="", flush=True)
    """
    pieces = write(
        model,
        prompt,
        length,
        prompts=prompts,
        sampler=sampler,
        mix=mix,
        seed=seed,
        n=n,
        unknown=unknown,
        stop=stop,
        until_sentence=until_sentence,
    )
    return ([piece.text for piece in item] for item in pieces)


@overload
def generate(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    prompts: None = None,
    sampler: str | None = None,
    mix: str | None = None,
    seed: int = 0,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> str: ...


@overload
def generate(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    prompts: Iterable[str],
    sampler: str | None = None,
    mix: str | None = None,
    seed: int = 0,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> list[str]: ...


@public
def generate(
    model: Model,
    prompt: str = "",
    length: int = 500,
    *,
    prompts: Iterable[str] | None = None,
    sampler: str | None = None,
    mix: str | None = None,
    seed: int = 0,
    unknown: str = "error",
    stop: str | Iterable[str] = (),
    until_sentence: bool = False,
) -> str | list[str]:
    """Write text that continues a prompt; the arguments are those of `write`.

    With `prompts` it returns a list, of what it would return for each of them as the only prompt.

    Example::

        generate(load("runs/santa"), "Santa ", length=100, sampler="temperature:0.5")
        generate(load("runs/santa"), prompts=["Santa ", "The sleigh "], length=100)
    """
    expect("prompts", prompts, Iterable | None, "a list, or use prompt")
    several = prompts if prompts is None or isinstance(prompts, str) else list(prompts)
    pieces = stream(
        model,
        prompt,
        length,
        prompts=several,
        sampler=sampler,
        mix=mix,
        seed=seed,
        unknown=unknown,
        stop=stop,
        until_sentence=until_sentence,
    )
    texts = ["".join(parts) for parts in zip(*pieces, strict=True)]
    return "".join(texts) if several is None else texts or [""] * len(several)
