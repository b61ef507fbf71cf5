"""Everything that a configuration builds, checked before any file is written."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import jax

from charrnn_core.ahead import begun
from charrnn_core.engine.fallback import REMEDY
from charrnn_core.errors import CorpusError, OptionError
from charrnn_core.network.context import fitting_bits
from charrnn_core.network.counts import Counts
from charrnn_core.network.explain import explain
from charrnn_core.network.mesh import fitting_shards
from charrnn_core.network.network import Network
from charrnn_core.network.sizing import refuse_too_large, size_cell
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.components import make_loss
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.environment import environment
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.model import build_network, build_sampler
from charrnn_core.runs.of_text import OfText
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.alphabet import ALPHABETS, Alphabet, Ids
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.text.mapped import occurs
from charrnn_core.text.split import Piece, Split, count_characters, first_characters
from charrnn_core.training.batches import Batching, Streams, Subsequences, fit_geometry
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.counting import with_its_counts
from charrnn_core.training.optimizer import optimizer_maker
from charrnn_core.training.policy import Budget, Policy, updates_in
from charrnn_core.training.readings import count_readings, find_owners
from charrnn_core.training.regularisation import exposure_of, regularised
from charrnn_core.training.update import Loss, MakeOptimizer, Trainer


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """Everything that a configuration builds: what to train, on what, and for how long.

    Arguments:
        config: the resolved configuration, its batch and window adapted to the text.
        notes: what was adapted, in lines for the user.
        unroll: how time steps run and why; see `charrnn_core.network.explain.explain`.
        corpus, alphabet: the text and its symbols.
        train_ids, held_out: the two parts of the text, the held-out one in pieces.
        prompt: the ids that samples start with.
        network, sampler, trainer, batching, budget: the built components.
        of_text: waits for what the text tells the network.
    """

    config: RunConfig
    notes: tuple[str, ...]
    unroll: Mapping[str, Any]
    corpus: Corpus
    alphabet: Alphabet
    train_ids: Ids
    held_out: list[Piece]
    prompt: Ids
    network: Network
    sampler: Chain
    trainer: Trainer
    batching: Batching
    budget: Budget
    of_text: Callable[[], OfText]

    @property
    def policy(self) -> Policy:
        """When evaluations, samples and checkpoints are due."""
        config = self.config
        return Policy(
            eval_interval=updates_in(config.eval_every, self.batching),
            sample_interval=updates_in(config.sample_every, self.batching),
            save_seconds=60 * config.save_every,
            keep_every=config.keep_every,
            patience=config.patience,
            non_finite=config.non_finite,
        )

    def table(self, plugins: list[dict[str, Any]], loop: LoopState) -> dict[str, Any]:
        """Return the table of a checkpoint: enough to sample and, with the text, to resume."""
        corpus = self.corpus
        return {
            "charrnn": version("charrnn"),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": environment(),
            "config": self.config.table(),
            "alphabet": self.alphabet.table(),
            "plugins": plugins,
            "corpus": {
                "name": corpus.name,
                "origin": corpus.origin,
                "licence": corpus.licence,
                "sha256": corpus.sha256,
                "characters": corpus.characters,
            },
            "unroll": dict(self.unroll),
            "step": loop.step,
            "held_out_nats_per_char": loop.held_out,
            "loop": loop.table(),
        }


def prepare(
    config: RunConfig,
    context: TrainingContext | None = None,
    *,
    alphabet: Alphabet | None = None,
    of_text: OfText | None = None,
    unknown: str = "error",
    check: Callable[[Corpus, Alphabet], None] = lambda corpus, found: None,
    read: Callable[[Ref, Registry, Callable[[str], None]], Corpus] = read_corpus,
) -> TrainingSetup:
    """Read the text, and build everything that a resolved configuration describes.

    Names and options are checked before the text is read, and the text before a network is built.

    Arguments:
        config: from `RunConfig.resolve`.
        context: the plugins to use, the clock, and where notes go.
        alphabet: the symbols of an already trained model; by default those of the text.
        of_text: what its text told it; what that lacks is found in this one, but for owners.
        unknown: what to do with characters that `alphabet` lacks: ``"error"`` or ``"skip"``.
        check: called with the text and its own alphabet before anything is built from them.
        read: returns the text of a source; the default reads it for the first time.

    Raises:
        CharRNNError: the configuration or the text is wrong; the subclass and message say how.
    """
    context = context or TrainingContext()
    registry, note = context.registry, context.note
    _check_kind(config, alphabet)
    split, sampler = Split.named(config.split), build_sampler(config.sampler, registry)
    loss = make_loss(registry, config.loss)
    make_optimizer = optimizer_maker(registry, config.optimizer)
    corpus = read(config.source, registry, note)
    found = _alphabet_of(corpus, config.alphabet)
    check(corpus, found)
    alphabet = alphabet or found

    notes: list[str] = []
    config = _with_documents(config, corpus, notes)
    config = _with_context_rows(config, corpus)
    config = _with_width(config, alphabet, registry, notes)
    network = build_network(config, alphabet, registry)
    refuse_too_large(network)
    if config.counts and not network.counts.order:
        notes.append(
            f"counts is 0 instead of {config.counts}: {len(alphabet)} symbols are too many"
        )
    ids = encode_corpus(corpus, alphabet, unknown, note)
    train_ids = split.training(ids)
    config = _with_fitting_geometry(config, len(train_ids), alphabet.unit, notes)
    beginning = encode_prompt(alphabet, "", separator=network.separator)
    held_out = split.pieces(ids, "valid", int(beginning[0]))
    held_out = first_characters(held_out, config.eval_characters)
    _note_what_has_no_effect(config, held_out, network, train_ids, notes)
    batching = _batching(config, train_ids)
    budget = Budget.of(config, batching, context.started)
    config = regularised(config, exposure := exposure_of(network, batching, budget), notes)
    if of_text is None:
        of_text = OfText(find_owners(network, train_ids) if exposure.is_repeated else b"")
    network = build_network(config, alphabet, registry, of_text.owners)
    network, choice = network.settled(config.batch, config.window)
    if choice.failed:
        notes.append(f"{choice.why}; {REMEDY}")
    return TrainingSetup(
        config=config,
        notes=tuple(notes),
        unroll=explain(choice),
        corpus=corpus,
        alphabet=alphabet,
        train_ids=train_ids,
        held_out=held_out,
        prompt=encode_prompt(alphabet, config.prompt, config.unknown, network.separator),
        network=network,
        sampler=sampler.bind(SamplerContext(alphabet, lambda: train_ids)).tried(len(alphabet)),
        # Its program is the same with counts and without, to the bit.
        trainer=_trainer(
            config,
            dataclasses.replace(network, counts=Counts()),
            loss,
            make_optimizer,
            budget,
            train_ids,
        ),
        batching=batching,
        budget=budget,
        of_text=begun(partial(with_its_counts, of_text, network, train_ids, note)),
    )


def _check_kind(config: RunConfig, alphabet: Alphabet | None) -> None:
    """Refuse a setting `alphabet` other than that of an already trained model.

    Raises:
        OptionError: they differ.
    """
    if alphabet is not None and alphabet.kind != config.alphabet:
        raise OptionError(
            f"alphabet is {config.alphabet!r}, but the model's alphabet is {alphabet.kind!r}; use: "
            f"--alphabet {alphabet.kind}"
        )


def _trainer(
    config: RunConfig,
    network: Network,
    loss: Loss,
    make_optimizer: MakeOptimizer,
    budget: Budget,
    train_ids: Ids,
) -> Trainer:
    needed = network.context.rows and network.dropouts.rare
    readings = count_readings(network, train_ids) if needed else None
    return Trainer(
        network,
        loss,
        make_optimizer,
        streams=config.batch,
        shards=config.shards or 1,
        total_steps=budget.steps if budget.deadline is None else None,
        skip=config.non_finite == "skip",
        average=config.average,
        readings=readings,
        seed=config.seed,
    )


def _alphabet_of(corpus: Corpus, kind: str) -> Alphabet:
    """Return the alphabet of a text.

    Raises:
        CorpusError: it has fewer than two distinct characters.
    """
    if len(corpus.symbols) < 2:
        raise CorpusError(
            f"{corpus.origin} has a single distinct character, {corpus.symbols!r}, so there is "
            "nothing to predict; use a text with at least two"
        )
    return ALPHABETS[kind].of(corpus.symbols)


def _with_documents(config: RunConfig, corpus: Corpus, notes: list[str]) -> RunConfig:
    """Return the run with `documents` set by its source, unless the run sets it."""
    if config.documents is not None or corpus.documents is None:
        return config
    notes.append(f"documents is {corpus.documents!r}, because {corpus.name} consists of documents")
    return dataclasses.replace(config, documents=corpus.documents)


def _with_context_rows(config: RunConfig, corpus: Corpus) -> RunConfig:
    """Return the run with as many rows of the context as suit its text, unless it sets them."""
    bits = config.context_bits or fitting_bits(corpus.characters)
    return dataclasses.replace(config, context_bits=bits)


def _with_width(
    config: RunConfig, alphabet: Alphabet, registry: Registry, notes: list[str]
) -> RunConfig:
    """Return the run with a cell as wide as its setting `parameters` allows, if given."""
    if config.parameters is None:
        return config

    def build(cell: Ref) -> Network:
        return build_network(dataclasses.replace(config, cell=cell), alphabet, registry)

    cell, line = size_cell(config.cell, build, config.parameters)
    notes.append(line)
    return dataclasses.replace(config, cell=cell, parameters=None)


def _with_fitting_geometry(
    config: RunConfig, length: int, unit: str, notes: list[str]
) -> RunConfig:
    """Return the run with a batch and window that fit the text and the devices."""
    wanted = 1 if config.batching == "subsequences" else config.batch
    batch, window = fit_geometry(length, wanted, config.window, unit)
    for name, asked, used in (("batch", config.batch, batch), ("window", config.window, window)):
        if used != asked:
            why = f"the training text has {length} {unit}s"
            if name == "batch" and config.batching == "subsequences":
                why = "subsequences are read one at a time"
            notes.append(f"{name} is {used} instead of {asked}: {why}")
    shards = config.shards or fitting_shards(batch, len(jax.devices()))
    if batch % shards:
        raise OptionError(
            f"shards is {shards}; expected a number that divides the batch of {batch} streams"
        )
    return dataclasses.replace(config, batch=batch, window=window, shards=shards)


def _note_what_has_no_effect(
    config: RunConfig, held_out: list[Piece], network: Network, train_ids: Ids, notes: list[str]
) -> None:
    """Append a note for every setting that has no effect on this text."""
    if config.patience and not count_characters(held_out):
        notes.append(f"patience has no effect: split {config.split!r} holds nothing out")
    if network.separator and not occurs(network.separator, train_ids):
        notes.append(
            f"documents is {config.documents!r}, but no document ends in the training text"
        )


def _batching(config: RunConfig, ids: Ids) -> Batching:
    if config.batching == "subsequences":
        return Subsequences(ids, config.stretch, config.window, config.seed)
    return Streams(ids, config.batch, config.window)
