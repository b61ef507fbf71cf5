"""The moving average of the parameters."""

import jax
import jax.numpy as jnp

from charrnn_core.cell import Params
from charrnn_core.training.moving import Moving


def averaged(
    average: Params | None,
    params: Params,
    step: jax.Array,
    most: float,
    moving: Moving,
) -> Params | None:
    """Return ``average' = d average + (1 - d) params``; d grows from 0.1 to `most`.

    Arguments:
        average: the average so far; None, and None is returned, if there is none.
        params: the parameters to take in.
        step: int32, the updates before.
        most: the decay d in the long run.
        moving: which parameters move; the average of the others keeps its bits.

    Source: Polyak and Juditsky 1992; the start as in TensorFlow's ExponentialMovingAverage.

    >>> averaged(jnp.ones(2), jnp.zeros(2), jnp.int32(0), 0.99, Moving()).tolist()
    [0.10000002384185791, 0.10000002384185791]
    """
    if average is None:
        return None
    n = step.astype(jnp.float32)
    decay = jnp.minimum(most, (1.0 + n) / (10.0 + n))

    def mean(old: jax.Array, new: jax.Array) -> jax.Array:
        return old + (1.0 - decay).astype(old.dtype) * (new - old)

    return moving.kept(average, jax.tree.map(mean, average, params))
