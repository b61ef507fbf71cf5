"""One sitting of a training: what the loop does to files and observers."""

import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.cell import Params
from charrnn_core.errors import SamplingError
from charrnn_core.evaluation.baselines import begin_baselines
from charrnn_core.evaluation.report import Evaluation, Row, Tally, tally
from charrnn_core.evaluation.scoring import make_scorer
from charrnn_core.events import Ended, Incident, Started, Stepped
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.network.explain import summary
from charrnn_core.network.pytree import count_parameters, to_arrays
from charrnn_core.randomness import random_key
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.metrics import read_course
from charrnn_core.runs.model import load
from charrnn_core.sampling.draw import make_generator
from charrnn_core.text.split import count_characters
from charrnn_core.training.incidents import append_incident, cut_log
from charrnn_core.training.loop import Session, Tools
from charrnn_core.training.observers import Audience
from charrnn_core.training.setup import Experiment
from charrnn_core.training.trained import Trained, describe_incidents, describe_time
from charrnn_core.training.update import TrainState


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Who watches a training, and who may end it; the arguments of `train`."""

    registry: Registry
    observers: tuple[Any, ...]
    started: float
    stop: Callable[[], bool]
    note: Callable[[str], None]
    updates_per_call: int | None = None
    from_first_update: bool = False

    def since(self, seconds: float, plugins: Iterable[Mapping[str, Any]]) -> "Surroundings":
        """The same for a run that was `seconds` old and used these plugins."""
        registry = self.registry.preferring(plugins)
        return dataclasses.replace(self, started=self.started - seconds, registry=registry)


@dataclass
class Sitting:
    """What one sitting of a training needs, between its experiment and its files."""

    experiment: Experiment
    directory: RunDirectory
    around: Surroundings

    def __post_init__(self) -> None:
        config = self.experiment.config
        around = self.around
        self._tally: Tally | None = None
        self._records = config.records(around.registry)
        self._audience = Audience(config.observers, around.observers, around.registry, around.note)

    def go(
        self, state: TrainState, loop: LoopState, remembered: Mapping[str, Any] | None = None
    ) -> Trained:
        """Train until the budget is used up or somebody wants it to stop."""
        experiment, audience, directory = self.experiment, self._audience, self.directory.path
        incidents = self.directory.incidents_file
        cut_log(incidents, loop.incident_bytes)
        if remembered is not None:
            audience.restore(remembered)
        began = self.around.started + loop.seconds
        audience.hear(
            Started(
                directory=directory,
                config=experiment.config.table(),
                parameters=count_parameters(state.params),
                symbols=len(experiment.alphabet),
                train_characters=len(experiment.train_ids),
                held_out_characters=count_characters(experiment.held_out),
                notes=experiment.notes,
                unroll=summary(experiment.unroll),
                step=loop.step,
            )
        )
        for line in experiment.notes:
            self.around.note(f"note: {line}")
        config, trainer = experiment.config, experiment.trainer
        self._course = course = read_course(
            self.directory.metrics_file,
            {"step": loop.step, "loop": loop.table()},
            len(experiment.alphabet),
        )
        waiting = begin_baselines(experiment.train_ids, experiment.held_out, experiment.alphabet)
        session = Session(
            trainer, trainer.place(state), loop, experiment.batching, config.window,
            experiment.budget, experiment.policy, self._tools(), config.prompt,
        )  # fmt: skip
        session.at_most = self.around.updates_per_call or session.at_most
        session.from_first_update = self.around.from_first_update
        first, reason, actions = loop.step, "failed", Counter[str]()
        ended: float | None = None
        try:
            for event in session.events():
                if isinstance(event, Incident):
                    session.loop.incident_bytes = append_incident(incidents, event)
                    actions[event.action] += 1
                if isinstance(event, Stepped):
                    course.add(vars(event))
                audience.hear(event)
            reason, ended = session.loop.status, time.monotonic()
            # Whoever wants training to end does not wait for this either.
            rows, remarks = waiting(lambda: reason == "interrupted" or self.around.stop())
        finally:
            if ended is None:
                waiting(lambda: True)
            audience.hear(
                Ended(
                    step=session.loop.step,
                    reason=reason,
                    held_out_nats_per_char=session.loop.held_out,
                    seconds=(ended or time.monotonic()) - self.around.started,
                    directory=directory,
                )
            )
        evaluation, loop = None, session.loop
        course.best, course.best_step = loop.best, loop.best_step
        course.ended = reason != "interrupted"
        if (held_out := loop.held_out) is not None:
            model = Row(name="model", nats_per_char=held_out)
            if self._tally is not None and self._tally.mean == held_out:
                model = self._tally.row("model")
            evaluation = Evaluation(
                model=model, characters=count_characters(experiment.held_out), split=config.split,
                part="valid", symbol=experiment.alphabet.unit, baselines=rows, remarks=remarks,
                course=course,
            )  # fmt: skip
        lines = describe_incidents(actions)
        if config.minutes is not None and reason != "interrupted" and ended and session.updating:
            start_up, seconds = session.updating - began, ended - began
            apart, updates = session.from_first_update, loop.step - first
            lines += describe_time(start_up, seconds, updates, apart)
        model = load(directory, self.around.registry, note=self.around.note)
        return Trained(
            model, directory, evaluation, reason, loop.best_step, loop.best, course, tuple(lines)
        )

    def _tools(self) -> Tools:
        """What the training loop calls to evaluate, to sample, to save and to roll back."""
        experiment = self.experiment
        config, held_out = experiment.config, experiment.held_out
        characters = count_characters(held_out)
        score = make_scorer(experiment.network, shards=config.shards)
        generate = make_generator(experiment.network, experiment.sampler)

        def evaluate(params: Params) -> float:
            self._tally = tally(score(params, held_out), characters)
            return self._tally.mean

        def sample(state: TrainState) -> str:
            key = random_key(config.seed, "sample", int(state.step))
            ids = [np.empty(0, np.int32)]
            with contextlib.suppress(SamplingError):  # a sample that gets stuck ends there
                for piece in generate(state.learnt, experiment.prompt, config.sample_length, key):
                    ids.append(piece[:, 0])
            return experiment.alphabet.decode(np.concatenate(ids))

        return Tools(
            evaluate if characters else None,
            sample,
            self._save,
            self._roll_back,
            self.around.stop,
        )

    def _save(self, state: TrainState, loop: LoopState) -> Path:
        table = self.experiment.table(self._records, loop)
        path = self.directory.checkpoint_file(loop.step)
        save_checkpoint(
            path, {**table, "observers": self._audience.states()}, to_arrays(state._asdict())
        )
        keep = [step for step in (loop.best_step, loop.anchor, *loop.kept) if step is not None]
        self.directory.prune(self.experiment.config.keep_last, keep)
        return path

    def _roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        anchor = self.directory.checkpoint_file(loop.anchor)
        checkpoint = load_checkpoint(anchor)
        table = read_manifest(anchor, checkpoint.table, RESUMING)
        state = self.experiment.trainer.restore(checkpoint.arrays, self.around.note)
        state = state._replace(scale=state.scale / 2)
        before = LoopState.read(table["loop"])
        before.rollbacks, before.incident_bytes = loop.rollbacks + 1, loop.incident_bytes
        if before.status == "stopped early":  # it has gone on since
            before.stale = 0
        before.status = "running"
        self.around.note(
            f"note: rolled back from update {loop.step} to {loop.anchor}; the learning rate is "
            f"{float(state.scale):.3g} of what was asked for from here on"
        )
        # The newer ones first: a crash in between must not leave them with the old rate.
        self.directory.remove_after(loop.anchor)
        self._course.forget_after(loop.anchor)
        self._audience.restore(table["observers"])
        self._save(state, before)
        return self.experiment.trainer.place(state), before
