"""One training, from a configuration to a run directory."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from charrnn_core.batches import Batching, Streams, Subsequences, fit_geometry
from charrnn_core.corpus import Alphabet, Ids, Split
from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation import Evaluation, make_scorer
from charrnn_core.events import Ended, Evaluated, Event, Started, Stepped, notify
from charrnn_core.model import Model, build_network, build_sampler, load, save_model
from charrnn_core.randomness import random_key
from charrnn_core.registry import Registry
from charrnn_core.run import RunConfig, RunDirectory
from charrnn_core.sampling import encode_prompt, make_generator
from charrnn_core.sources import read_corpus, to_stderr
from charrnn_core.training import Budget, Tools, Trainer, TrainState, train_loop


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train` gives back.

    Arguments:
        model: the trained model.
        directory: the run directory.
        held_out: the evaluation of the held-out part; None if nothing is held out.
        reason: ``"finished"`` or ``"interrupted"``.
    """

    model: Model
    directory: Path
    held_out: Evaluation | None
    reason: str


def train(
    config: RunConfig | None = None,
    *,
    out: str | Path | None = None,
    observers: Iterable[Any] = (),
    registry: Registry | None = None,
    started: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = to_stderr,
) -> Trained:
    """Train a model and keep it in a run directory.

    Arguments:
        config: what to train; by default an Elman network on Python's own documentation.
        out: the run directory; by default a new one under ``runs/``.
        observers: objects with any of the methods ``on_start`` ... ``on_end``, besides those that
            the configuration names.
        registry: the plugins to use; by default those installed.
        started: the reading of ``time.monotonic()`` from which ``minutes`` count; now if None.
        stop: asked between device calls; when it says True, training saves and ends.
        note: takes lines the user should see.

    Raises:
        CharRNNError: the leaf says what; nothing is trained before the input has been checked.

    >>> import tempfile
    >>> config = RunConfig(cell="elman:8", characters=2048, batch=4, window=16, observers=())
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(config, out=f"{out}/run")
    >>> trained.reason, trained.held_out.split
    ('finished', 'last-10%')
    """
    started = time.monotonic() if started is None else started
    registry = registry or Registry.installed()
    config = (config or RunConfig()).resolve(registry)
    split = Split.named(config.split)
    sampler = build_sampler(config.sampler, registry)
    corpus = read_corpus(config.source, registry, note)
    alphabet = Alphabet.of(corpus.text)
    prompt = encode_prompt(alphabet, config.prompt, config.unknown)
    network = build_network(config, alphabet, registry)
    ids = alphabet.encode(corpus.text)
    train_ids, held_out_ids = split.piece(ids, "train"), split.piece(ids, "valid")
    config, notes = _fit(config, len(train_ids))
    batching = _batching(config, train_ids)

    budget = _budget(config, batching, started)
    loss = registry.load("loss", config.loss)(registry.options("loss", config.loss))
    make_optimizer = _optimizer_maker(config, registry)
    trainer = Trainer(network, loss, make_optimizer, config.batch, budget.steps)
    directory = RunDirectory.create(config, None if out is None else Path(out))
    directory.write_config(config)
    audience = _Audience(
        [registry.load("observer", r)(registry.options("observer", r)) for r in config.observers]
        + list(observers),
        note,
    )
    score, generator = make_scorer(network), make_generator(network, sampler)
    records = config.records(registry)

    def sample(state: TrainState) -> str:
        key = random_key(config.seed, "sample", int(state.step))
        pieces = generator(state.params, prompt, config.sample_length, key)
        return alphabet.decode(np.concatenate([piece[:, 0] for piece in pieces]))

    def save(state: TrainState, held_out: float | None) -> Path:
        return save_model(directory, config, alphabet, corpus, records, state, held_out)

    can_evaluate = len(held_out_ids) > 1
    tools = Tools(
        evaluate=(lambda params: score(params, held_out_ids)) if can_evaluate else None,
        sample=sample,
        save=save,
        stop=stop,
    )
    state = trainer.init(random_key(config.seed, "init"))
    model = Model(config, alphabet, network, state.params, registry)
    audience.hear(
        Started(
            directory=directory.path, config=config.table(), parameters=model.parameters,
            symbols=len(alphabet), train_characters=len(train_ids),
            held_out_characters=max(0, len(held_out_ids) - 1), notes=tuple(notes),
        )
    )  # fmt: skip
    events = train_loop(
        trainer, state, batching, config.window, budget, tools, prompt=config.prompt,
        eval_interval=_interval(config.eval_every, batching),
        sample_interval=_interval(config.sample_every, batching),
    )  # fmt: skip
    last, held_out, reason = None, None, "failed"
    try:
        for event in events:
            audience.hear(event)
            if isinstance(event, Stepped):
                last = event
            if isinstance(event, Evaluated):
                held_out = event.nats_per_char
        assert last is not None  # a budget allows at least one update
        reason = "finished" if last.seconds_left <= 0 else "interrupted"
    finally:
        audience.hear(
            Ended(
                step=last.step if last else 0, reason=reason, held_out_nats_per_char=held_out,
                seconds=time.monotonic() - started, directory=directory.path,
            )
        )  # fmt: skip
    evaluation = None
    if held_out is not None:
        count = len(held_out_ids) - 1
        evaluation = Evaluation(
            nats_per_char=held_out, characters=count, split=split.name, part="valid"
        )
    return Trained(load(directory.path, registry), directory.path, evaluation, reason)


class _Audience:
    """The observers; one that raises is named once and left out from then on."""

    def __init__(self, observers: list[Any], note: Callable[[str], None]) -> None:
        self.observers, self.note = observers, note

    def hear(self, event: Event) -> None:
        for observer in list(self.observers):
            try:
                notify(observer, event)
            except CharRNNError:
                raise
            except Exception as error:  # an observer's bug must not cost a training
                self.observers.remove(observer)
                name = type(observer).__name__
                self.note(
                    f"observer {name} failed and is left out: {type(error).__name__}: {error}"
                )


def _fit(config: RunConfig, characters: int) -> tuple[RunConfig, list[str]]:
    """Adapt the batch geometry to the text, with a note for every change."""
    wanted = 1 if config.batching == "subsequences" else config.batch
    batch, window = fit_geometry(characters, wanted, config.window)
    notes = []
    for name, had, has in (("batch", config.batch, batch), ("window", config.window, window)):
        if has != had:
            why = f"the training text has {characters} characters"
            if name == "batch" and config.batching == "subsequences":
                why = "subsequences are read one at a time"
            notes.append(f"{name} is {has} instead of {had}: {why}")
    return dataclasses.replace(config, batch=batch, window=window), notes


def _batching(config: RunConfig, ids: Ids) -> Batching:
    if config.batching == "subsequences":
        return Subsequences(ids, config.stretch, config.window, config.seed)
    return Streams(ids, config.batch, config.window)


def _budget(config: RunConfig, batching: Batching, started: float) -> Budget:
    per_epoch = batching.steps_per_epoch
    limits = []
    if config.epochs is not None:
        limits.append(max(1, round(config.epochs * per_epoch)))
    if config.characters is not None:
        limits.append(max(1, -(-config.characters * per_epoch // batching.characters_per_epoch)))
    deadline = None if config.minutes is None else started + 60 * config.minutes
    return Budget(min(limits, default=None), started, deadline)


def _interval(epochs: float | None, batching: Batching) -> int | None:
    return None if epochs is None else max(1, round(epochs * batching.steps_per_epoch))


def _optimizer_maker(config: RunConfig, registry: Registry) -> Callable[[Any], Any]:
    target = registry.load("optimizer", config.optimizer)
    options = registry.options("optimizer", config.optimizer)

    def make(total_steps: Any) -> Any:
        try:
            return target(options, total_steps)
        except jax.errors.ConcretizationTypeError as error:
            raise CharRNNError(
                f"optimizer {config.optimizer.use!r} needs to know the number of updates "
                "in advance; use --epochs instead of --minutes"
            ) from error

    return make
