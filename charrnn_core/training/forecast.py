"""How long a training will take, from a few seconds of it."""

import time
from dataclasses import dataclass

import jax

from charrnn_core.evaluation.counting import seconds_to_count
from charrnn_core.evaluation.excerpt import Excerpt
from charrnn_core.evaluation.scoring import STREAMS, WARM_UP
from charrnn_core.text.split import count_characters
from charrnn_core.training.advance import advance
from charrnn_core.training.batches import stack_batches
from charrnn_core.training.held_out import OF_TRAINING
from charrnn_core.training.loop import UPDATES_PER_CALL, room_of_a_call
from charrnn_core.training.setup import TrainingSetup

_EVALUATIONS = 10
_SECONDS_PER_TENTH = 0.15
"""What a sample and a checkpoint take, with the default network."""


@dataclass(frozen=True)
class Forecast:
    """How long a training will take, if nothing stops it early.

    Arguments:
        updates: how many it makes.
        seconds_per_update: as measured.
        seconds_besides: of starting, evaluations, samples, checkpoints and baselines.
        characters_per_second: as measured.

    >>> Forecast(1000, 0.05, 10.0, 40_000.0).seconds
    60.0
    """

    updates: int
    seconds_per_update: float
    seconds_besides: float
    characters_per_second: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.updates * self.seconds_per_update + self.seconds_besides


def forecast(setup: TrainingSetup, started: float, seconds: float = 3.0) -> Forecast | None:
    """Train for a few seconds, and tell how long all of a training takes; None without an end.

    What is learnt is thrown away, and the setup is as it was.

    Arguments:
        setup: what to train, for a number of updates; a budget in minutes needs no forecast.
        started: the reading of ``time.monotonic()`` when this process began to do what a training
            does before its first update.
        seconds: how long to train.
    """
    if setup.budget.steps is None:
        return None
    config, updates = setup.config, setup.budget.steps
    room = room_of_a_call(UPDATES_PER_CALL, config.batch * config.window)
    compiling = setup.trainer.compile_ahead(room, config.window)
    state = setup.trainer.init()
    program = compiling()
    setup.of_text()  # counts the text meanwhile, which would cost the updates a core
    start_up = time.monotonic() - started
    made, spent, count = 0, 0.0, 1
    while spent < seconds:
        began = time.monotonic()
        batches = stack_batches(setup.batching, made, count, room)
        state, _ = advance(program, state, batches, count, updates, non_finite="skip", skipped=0)
        jax.block_until_ready(state)
        took = time.monotonic() - began
        if made:  # the first call is slower than any other
            spent += took
        made += count
        left = int((seconds - spent) / (took / count)) if made > 1 else 1
        count = max(1, min(room, left))
    each = spent / max(1, made - 1)
    per_character = each / (config.batch * config.window)
    return Forecast(
        updates=updates,
        seconds_per_update=each,
        seconds_besides=start_up + _besides(setup, per_character),
        characters_per_second=1 / per_character,
    )


def _besides(setup: TrainingSetup, seconds_per_character: float) -> float:
    """Estimate the time of evaluations, samples, checkpoints and baselines."""
    excerpt = Excerpt.of(setup.held_out)
    read = _EVALUATIONS * len(excerpt.counts)
    if not excerpt.is_whole:
        read += count_characters(setup.held_out) + STREAMS * WARM_UP
    return (
        OF_TRAINING * seconds_per_character * read
        + _EVALUATIONS * _SECONDS_PER_TENTH
        + seconds_to_count(setup.train_ids, setup.held_out)
    )
