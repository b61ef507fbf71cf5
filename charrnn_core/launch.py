"""One training, from a configuration to a run directory."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.batches import Batching
from charrnn_core.cell import Params
from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation import Evaluation, make_scorer
from charrnn_core.events import Ended, Evaluated, Event, Started, Stepped, notify
from charrnn_core.experiment import Experiment, prepare
from charrnn_core.explain import summary
from charrnn_core.model import Model, count_parameters, load, save_model
from charrnn_core.randomness import random_key
from charrnn_core.registry import Registry
from charrnn_core.run import RunConfig, RunDirectory
from charrnn_core.sampling import make_generator
from charrnn_core.sources import to_stderr
from charrnn_core.training import Tools, TrainState, train_loop


@dataclass(frozen=True)
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
    experiment = prepare(config or RunConfig(), registry, started, note)
    config, held_out_ids = experiment.config, experiment.held_out_ids
    directory = RunDirectory.create(config, None if out is None else Path(out))
    directory.write_config(config)
    named = [
        registry.load("observer", r)(registry.options("observer", r)) for r in config.observers
    ]
    audience = _Audience([*named, *observers], note)
    state = experiment.trainer.init(random_key(config.seed, "init"))
    audience.hear(
        Started(
            directory=directory.path,
            config=config.table(),
            parameters=count_parameters(state.params),
            symbols=len(experiment.alphabet),
            train_characters=len(experiment.train_ids),
            held_out_characters=max(0, len(held_out_ids) - 1),
            notes=experiment.notes,
            unroll=summary(experiment.unroll),
        )
    )
    for line in experiment.notes:
        note(f"note: {line}")
    step, held_out, reason = 0, None, "failed"
    try:
        for event in _events(experiment, state, _tools(experiment, directory, registry, stop)):
            audience.hear(event)
            if isinstance(event, Stepped):
                step = event.step
                reason = "finished" if event.seconds_left <= 0 else "interrupted"
            if isinstance(event, Evaluated):
                held_out = event.nats_per_char
    except BaseException:
        reason = "failed"
        raise
    finally:
        audience.hear(
            Ended(
                step=step,
                reason=reason,
                held_out_nats_per_char=held_out,
                seconds=time.monotonic() - started,
                directory=directory.path,
            )
        )
    count = len(held_out_ids) - 1
    evaluation = None
    if held_out is not None:
        evaluation = Evaluation(
            nats_per_char=held_out, characters=count, split=config.split, part="valid"
        )
    return Trained(load(directory.path, registry), directory.path, evaluation, reason)


def _events(experiment: Experiment, state: TrainState, tools: Tools) -> Iterator[Event]:
    config = experiment.config
    return train_loop(
        experiment.trainer,
        state,
        experiment.batching,
        config.window,
        experiment.budget,
        tools,
        prompt=config.prompt,
        eval_interval=_interval(config.eval_every, experiment.batching),
        sample_interval=_interval(config.sample_every, experiment.batching),
    )


def _interval(epochs: float | None, batching: Batching) -> int | None:
    return None if epochs is None else max(1, round(epochs * batching.steps_per_epoch))


def _tools(
    experiment: Experiment, directory: RunDirectory, registry: Registry, stop: Callable[[], bool]
) -> Tools:
    """What the training loop calls to evaluate, to sample and to save."""
    config, alphabet = experiment.config, experiment.alphabet
    score = make_scorer(experiment.network)
    generate = make_generator(experiment.network, experiment.sampler)
    records = config.records(registry)

    def evaluate(params: Params) -> float:
        return score(params, experiment.held_out_ids)

    def sample(state: TrainState) -> str:
        key = random_key(config.seed, "sample", int(state.step))
        pieces = generate(state.params, experiment.prompt, config.sample_length, key)
        return alphabet.decode(np.concatenate([piece[:, 0] for piece in pieces]))

    def save(state: TrainState, held_out: float | None) -> Path:
        return save_model(
            directory,
            config,
            alphabet,
            experiment.corpus,
            records,
            experiment.unroll,
            state,
            held_out,
        )

    can_evaluate = len(experiment.held_out_ids) > 1
    return Tools(evaluate if can_evaluate else None, sample, save, stop)


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
            except (Exception, SystemExit) as error:
                # An observer's bug, or a terminal that went away, must not cost a training.
                self.observers.remove(observer)
                name = type(observer).__name__
                self.note(
                    f"observer {name} failed and is left out: {type(error).__name__}: {error}"
                )
