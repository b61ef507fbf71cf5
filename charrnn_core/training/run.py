"""One session of a training: the loop with its files and observers."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.ahead import begun
from charrnn_core.errors import CharRNNError, SamplingError
from charrnn_core.evaluation.comparison import Comparison
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.events import Ended, Event, Incident, Started, Stepped
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn_core.network.explain import summary
from charrnn_core.network.mesh import own
from charrnn_core.network.pytree import count_parameters, to_arrays
from charrnn_core.randomness import random_key
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.metrics import read_course, rows_up_to
from charrnn_core.runs.model import load
from charrnn_core.runs.of_text import OfText
from charrnn_core.runs.writer import RunWriter
from charrnn_core.sampling.draw import Generator
from charrnn_core.training.closing import chosen, glimpse
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.forgotten import Forgotten
from charrnn_core.training.incidents import append_incident, cut_log
from charrnn_core.training.loop import TrainingLoop
from charrnn_core.training.observers import Observers
from charrnn_core.training.part import Part
from charrnn_core.training.setup import TrainingSetup
from charrnn_core.training.state import TrainState
from charrnn_core.training.trained import Trained, describe_incidents, describe_stop


class TrainingRun(Part):
    """Training in a run directory, with observers: the part of the process that leads.

    Arguments:
        setup: what to train.
        writer: the run directory, locked for writing.
        context: the plugins, the observers, the clock and where notes go.
    """

    def __init__(self, setup: TrainingSetup, writer: RunWriter, context: TrainingContext) -> None:
        super().__init__(setup, context)
        config, registry = setup.config, context.registry
        self._writer, self._plugins = writer, config.records(registry)
        self._observers = Observers(config.observers, context.observers, registry, context.note)
        self._generate = Generator(setup.network, setup.sampler)
        self._incidents = Counter[str]()

    def train(
        self, state: TrainState, loop: LoopState, remembered: Mapping[str, Any] | None = None
    ) -> Trained:
        """Train until the budget is used up or training is asked to stop.

        Arguments:
            state, loop: the states to start from.
            remembered: the observers' states in the checkpoint, if training is resumed.
        """
        context = self._context
        self._begin(state, loop, remembered)
        self._forgotten = Forgotten(self._setup, self._writer, context)
        self._comparison = Comparison(self._held_out.text, self._setup.train_ids)
        training = self._loop(state, loop)
        reason, evaluation = "failed", None
        try:
            for event in training.events():
                self._take(event)
            reason = training.loop.status
            evaluation = self._evaluate_at_the_end(training)
            unmeasured = training.loop.best_step is None
            model = load(self._writer.path, context.registry, last=unmeasured, note=context.note)
            if evaluation is not None:
                if reason != "interrupted":
                    with training.time.charged("evaluation"):
                        evaluation = self._forgotten.added_to(evaluation, model)
                about = {"step": training.loop.step, "reason": reason}
                about |= training.time.spent.table()
                self._writer.write_evaluation({**about, **evaluation.table()})
        finally:
            self._comparison.cancel()
            self._announce_end(training, reason, evaluation)
        loop = training.loop
        return Trained(
            model=model,
            directory=self._writer.path,
            held_out=evaluation,
            reason=reason,
            best_step=loop.best_step,
            best=loop.best,
            course=self._course,
            remarks=(
                *describe_stop(loop, training.policy, training.budget.progress(loop.step)),
                *describe_incidents(self._incidents),
            ),
            updates=loop.step,
            spent=training.time.spent,
            history=rows_up_to(self._writer.metrics_file, loop.step),
        )

    def _compile_ahead(self) -> None:
        """Compile what evaluations and samples need; what fails here fails there, and is told."""
        setup, params = self._setup, self._setup.trainer.shapes.learnt
        self._held_out.ahead(params)
        params, length = self._completed(params), setup.config.sample_length
        self._generate.ahead(params, len(setup.prompt), length)

    def _begin(
        self, state: TrainState, loop: LoopState, remembered: Mapping[str, Any] | None
    ) -> None:
        """Take the logs and the observers back to where training starts, and announce it."""
        setup = self._setup
        cut_log(self._writer.incidents_file, loop.incident_bytes)
        if remembered is not None:
            self._observers.restore(remembered)
        self._announce_start(state, loop)
        self._course = read_course(
            self._writer.metrics_file,
            {"step": loop.step, "loop": loop.table()},
            len(setup.alphabet),
        )

    def _announce_start(self, state: TrainState, loop: LoopState) -> None:
        setup = self._setup
        self._observers.notify(
            Started(
                directory=self._writer.path,
                config=setup.config.table(),
                parameters=count_parameters(state.params),
                symbols=len(setup.alphabet),
                train_characters=len(setup.train_ids),
                held_out_characters=self._held_out.text.characters,
                notes=setup.notes,
                unroll=summary(setup.unroll),
                step=loop.step,
                scored_characters=self._held_out.excerpt.characters,
            )
        )
        for line in setup.notes:
            self._context.note(f"note: {line}")

    def _announce_end(
        self, training: TrainingLoop, reason: str, evaluation: Evaluation | None
    ) -> None:
        loop, spent = training.loop, training.time.spent
        self._observers.notify(
            Ended(
                step=loop.step,
                reason=reason,
                held_out_nats_per_char=evaluation.nats_per_char if evaluation else loop.held_out,
                seconds=spent.total,
                directory=self._writer.path,
                spent=spent,
            )
        )

    def _take(self, event: Event) -> None:
        """Record an event, and notify the observers."""
        if isinstance(event, Incident):
            self._incidents[event.action] += 1
        if isinstance(event, Stepped):
            self._course.add(event.table())
        self._observers.notify(event)

    def _evaluate_at_the_end(self, training: TrainingLoop) -> Evaluation | None:
        """Score all of the held-out text with the best parameters, and with the last ones.

        Returns:
            The comparison of the better ones with the baselines; None if nothing was ever
            evaluated. A training that was interrupted has the least loss on the excerpt.
        """
        loop, course, held_out = training.loop, self._course, self._held_out
        interrupted = loop.status == "interrupted"
        course.best, course.best_step, course.last = loop.best, loop.best_step, loop.held_out
        course.ended = not interrupted
        if loop.held_out is None:
            return None
        # A user who stops training does not want to wait for the baselines either.
        stop, last = self._context.stop, None
        with training.time.charged("evaluation"):
            if interrupted:
                model = glimpse(held_out, loop)
            else:
                model, last = self._better(training)
                course.best_step = loop.best_step
                course.best = None if loop.best_step is None else model.nats_per_char
                course.last = (last or model).nats_per_char  # both on the same text
            found = self._comparison.evaluation(
                model,
                chosen=chosen(loop),
                last=last,
                course=course,
                give_up=lambda: interrupted or stop(),
            )
        if interrupted and not held_out.excerpt.is_whole:
            return dataclasses.replace(found, characters=held_out.excerpt.characters)
        return found

    def _read_best(self, step: int) -> tuple[Path, Checkpoint] | None:
        path = self._writer.checkpoint_file(step)
        try:
            return path, load_checkpoint(path)
        except CharRNNError as error:  # somebody has removed it
            self._context.note(f"note: the best model is lost; the last one is used: {error}")
            return None

    # The methods of `charrnn_core.training.loop.Host`.

    def seconds_to_close(self, loop: LoopState, seconds_per_character: float) -> float:
        held_out = self._held_out
        passes = (not held_out.excerpt.is_whole) + (loop.stale > 0)
        seconds = passes * held_out.seconds_for_all(seconds_per_character)
        seconds += self._forgotten.seconds(held_out.seconds_for_one(seconds_per_character))
        return seconds + self._comparison.seconds_left

    def begin_updates(self) -> None:
        self._comparison.give_way()
        begun(self._compile_ahead)  # not sooner, since the update's compilation wants every core

    def sample(self, state: TrainState) -> str:
        setup = self._setup
        key = random_key(setup.config.seed, "sample", int(state.step))
        ids, length = [np.empty(0, np.int32)], setup.config.sample_length
        with contextlib.suppress(SamplingError):  # a sample that gets stuck ends there
            params = self._completed(own(state.learnt))
            for piece in self._generate(params, setup.prompt, length, key):
                ids.append(piece[:, 0])
        return setup.alphabet.decode(np.concatenate(ids))

    def log_incident(self, incident: Incident) -> int:
        return append_incident(self._writer.incidents_file, incident)

    def save(self, state: TrainState, loop: LoopState) -> Path:
        path = self._writer.checkpoint_file(loop.step)
        table = {**self._setup.table(self._plugins, loop), "observers": self._observers.states()}
        # Before the first update nobody has to wait for counts; who resumes that counts again.
        owners = OfText(self._setup.network.context.owners)
        of_text = self._setup.of_text() if loop.step else owners
        arrays = to_arrays(state._asdict()) | of_text.arrays()
        save_checkpoint(path, table, arrays)
        keep = [step for step in (loop.best_step, loop.anchor, *loop.kept) if step is not None]
        self._writer.prune(self._setup.config.keep_last, keep)
        return path

    def roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        anchor = self._writer.checkpoint_file(loop.anchor)
        state, restored, table = self._restored((anchor, load_checkpoint(anchor)), loop)
        self._context.note(
            f"note: rolled back from update {loop.step} to {loop.anchor}; from here on the "
            f"learning rate is multiplied by {float(state.scale):.3g}"
        )
        # Remove the newer checkpoints first, since a crash must not leave them with the old rate.
        self._writer.remove_after(loop.anchor)
        self._course.forget_after(loop.anchor)
        self._observers.restore(table["observers"])
        self.save(state, restored)
        return self._setup.trainer.place(state), restored
