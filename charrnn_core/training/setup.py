"""Everything that a configuration builds, checked before any file is written."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import jax

from charrnn_core.ahead import begun
from charrnn_core.devices import operations_per_second
from charrnn_core.engine.fallback import REMEDY
from charrnn_core.errors import CorpusError, OptionError
from charrnn_core.network.counts import Counts
from charrnn_core.network.explain import explain
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
from charrnn_core.text.split import Piece, Split, first_characters
from charrnn_core.training.agreement import read_in_turn
from charrnn_core.training.batches import Batching, Streams, Subsequences
from charrnn_core.training.by_length import decided_by_length
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.counting import with_its_counts
from charrnn_core.training.fitting import (
    note_what_has_no_effect,
    with_context_rows,
    with_documents,
    with_fitting_geometry,
)
from charrnn_core.training.moving import Moving
from charrnn_core.training.optimizer import optimizer_maker
from charrnn_core.training.policy import Budget, Policy, updates_in
from charrnn_core.training.readings import count_readings, find_owners
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
    grows: bool = False,
    of_text: OfText | None = None,
    unknown: str = "error",
    check: Callable[[Corpus, Alphabet], None] = lambda corpus, found: None,
    read: Callable[[Ref, Registry, Callable[[str], None]], Corpus] = read_corpus,
    passed: bool = False,
) -> TrainingSetup:
    """Read the text, and build everything that a resolved configuration describes.

    Names and options are checked before the text is read, and the text before a network is built.

    Arguments:
        config: from `RunConfig.resolve`.
        context: the plugins to use, the clock, and where notes go.
        alphabet: the symbols of an already trained model; by default those of the text.
        grows: whether the symbols of the text that `alphabet` lacks are added to it.
        of_text: what its text told it; what that lacks is found in this one, but for owners.
        unknown: what to do with characters that `alphabet` lacks: ``"error"`` or ``"skip"``.
        check: called with the text and its own alphabet before anything is built from them.
        read: returns the text of a source; the default reads it for the first time.
        passed: whether other processes get the text from this one, since they cannot read it.

    Raises:
        CharRNNError: the configuration or the text is wrong; the subclass and message say how.
    """
    context = context or TrainingContext()
    registry, note = context.registry, context.note
    _check_kind(config, alphabet)
    split, sampler = Split.named(config.split), build_sampler(config.sampler, registry)
    loss = make_loss(registry, config.loss)
    make_optimizer = optimizer_maker(registry, config.optimizer)
    moving = Moving.read(config.freeze, config.lr_scale)
    corpus = read_in_turn(lambda: read(config.source, registry, note), context.processes, passed)
    found = _alphabet_of(corpus, config.alphabet)
    check(corpus, found)
    if alphabet is None:
        alphabet = found
    elif grows:
        alphabet = alphabet.joined(found)

    notes: list[str] = []
    config = with_documents(config, corpus, notes)
    config = with_context_rows(config, corpus)
    config = _with_width(config, alphabet, registry, notes)
    network = build_network(config, alphabet, registry)
    refuse_too_large(network)
    moving.check(network.shapes)
    if config.counts and not network.counts.order:
        notes.append(
            f"counts is 0 instead of {config.counts}: {len(alphabet)} symbols are too many"
        )
    ids = encode_corpus(corpus, alphabet, unknown, note)
    train_ids = split.training(ids)
    config = with_fitting_geometry(config, len(train_ids), alphabet.unit, notes)
    beginning = encode_prompt(alphabet, "", separator=network.separator)
    held_out = split.pieces(ids, "valid", int(beginning[0]))
    held_out = first_characters(held_out, config.eval_characters)
    note_what_has_no_effect(config, held_out, network, train_ids, notes)
    batching = _batching(config, train_ids)
    budget = Budget.of(config, batching, context.started, context.processes.clock)
    speed = (config.shards or 1) * operations_per_second(jax.default_backend())
    config = decided_by_length(
        config,
        network,
        batching,
        budget,
        alphabet=alphabet,
        registry=registry,
        operations_per_second=speed,
        notes=notes,
    )
    if of_text is None:
        of_text = OfText(find_owners(network, train_ids) if config.context_owned else b"")
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
            moving,
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
    moving: Moving,
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
        moving=moving,
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


def _with_width(
    config: RunConfig, alphabet: Alphabet, registry: Registry, notes: list[str]
) -> RunConfig:
    """Return the run with a cell as wide as its setting `parameters` allows, if given."""
    if not isinstance(config.parameters, int):
        return config

    def build(cell: Ref) -> Network:
        return build_network(dataclasses.replace(config, cell=cell), alphabet, registry)

    cell, line = size_cell(config.cell, build, config.parameters)
    notes.append(line)
    return dataclasses.replace(config, cell=cell, parameters=None)


def _batching(config: RunConfig, ids: Ids) -> Batching:
    if config.batching == "subsequences":
        return Subsequences(ids, config.stretch, config.window, config.seed)
    return Streams(ids, config.batch, config.window)
