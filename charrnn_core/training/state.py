"""What an update changes, what a call of updates measures, and the program that makes them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
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


Program = Callable[..., tuple[TrainState, Measured]]
"""``(state, batches, count, total_steps) -> (state, Measured)``; see `Trainer.compile`."""
