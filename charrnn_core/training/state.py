"""What an update changes, what a call of updates measures, and the program that makes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from charrnn_core.cell import Carry, Params


class TrainState(NamedTuple):
    """Everything an update changes.

    Fields:
        params: the parameters.
        opt_state: the optimizer's state.
        carry: the streams' carry.
        step: int32, updates so far.
        scale: float32, a factor on every change of the parameters; rolling back halves it.
        average: a moving average of the parameters; None if there is none.
    """

    params: Params
    opt_state: optax.OptState
    carry: Carry
    step: jax.Array
    scale: jax.Array
    average: Params | None = None

    @property
    def learnt(self) -> Params:
        """The parameters to use: the average, if there is one."""
        return self.params if self.average is None else self.average


class Measured(NamedTuple):
    """What a call measures of its updates.

    Fields:
        nats: float32[K], the loss of each in nats per character.
        made: bool[K], whether the update was made; False for one that was skipped.
        lost: bool[K,B], the streams whose carry was not finite after it; their carry is reset.
        sound: bool, whether all losses, and the parameters and the optimizer's state after the last
            update, are finite.
    """

    nats: Any
    made: Any
    lost: Any
    sound: Any


class Known(NamedTuple):
    """What a program is told of the training that it is a part of.

    Fields:
        seed: the seed of the training.
        readings: float32[rows], how often its text reads each row of the context; or None.
    """

    seed: Any
    readings: Any


@dataclass(frozen=True)
class Program:
    """``(state, batches, count, total_steps) -> (state, Measured)``; see `Trainer.compile`.

    Arguments:
        compiled: what XLA has made, which takes what is known of the training, too.
        known: that.
        spread: lays batches out over the devices.
    """

    compiled: jax.stages.Compiled
    known: Known
    spread: Callable[[Any], Any]

    def __call__(
        self, state: TrainState, batches: Any, count: np.int32, total_steps: np.int32
    ) -> tuple[TrainState, Measured]:
        return self.compiled(state, self.spread(batches), count, total_steps, self.known)

    @property
    def temporary_bytes(self) -> int:
        """The memory that a call needs besides its arguments and results."""
        analysis = self.compiled.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else 0
