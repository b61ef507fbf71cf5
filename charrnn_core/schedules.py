"""Learning-rate schedules whose number of steps may be known only inside jit.

Under a wall-clock budget the number of updates is re-estimated during the run, so it reaches the
schedule as an array. These schedules are plain arithmetic; those of optax compare it in Python.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Steps = int | jax.Array
Schedule = Callable[[Any], jax.Array]


def constant(peak: float, warmup: int = 0) -> Schedule:
    """Return a constant schedule with warm-up: ``rate(n) = peak * min(1, (n+1) / (warmup+1))``.

    Arguments:
        peak: the learning rate after warm-up.
        warmup: updates of linear warm-up.

    >>> rate = constant(0.1, warmup=1)
    >>> round(float(rate(jnp.int32(0))), 3), round(float(rate(jnp.int32(5))), 3)
    (0.05, 0.1)
    """

    def rate(count: Any) -> jax.Array:
        ramp = (jnp.asarray(count, jnp.float32) + 1.0) / (warmup + 1.0)
        return peak * jnp.minimum(1.0, ramp)

    return rate


def cosine(peak: float, total_steps: Steps, warmup: int = 0, final: float = 0.1) -> Schedule:
    """Return a schedule that warms up linearly, then follows half a cosine to ``final * peak``.

    ``rate(n) = peak * (final + (1 - final) * (1 + cos(pi p)) / 2)`` with
    ``p = clip((n - warmup) / (total_steps - warmup), 0, 1)``.

    Arguments:
        peak: the learning rate after warm-up.
        total_steps: updates of the whole run, an int or an int32 scalar array.
        warmup: updates of linear warm-up.
        final: the share of `peak` left at the end.

    Source: Loshchilov and Hutter, SGDR, 2017, arXiv 1608.03983; one cycle, with warm-up.

    >>> rate = cosine(0.1, total_steps=100, final=0.0)
    >>> round(float(rate(jnp.int32(50))), 3)
    0.05
    """
    warm = constant(peak, warmup)

    def rate(count: Any) -> jax.Array:
        p = _progress(count, total_steps, warmup)
        return warm(count) * (final + (1.0 - final) * 0.5 * (1.0 + jnp.cos(jnp.pi * p)))

    return rate


def linear(peak: float, total_steps: Steps, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Return a schedule that warms up linearly, then falls linearly to ``final * peak``.

    ``rate(n) = peak * (1 - (1 - final) p)``, with p and the arguments as for `cosine`.

    >>> rate = linear(0.1, total_steps=100)
    >>> round(float(rate(jnp.int32(75))), 3)
    0.025
    """
    warm = constant(peak, warmup)

    def rate(count: Any) -> jax.Array:
        return warm(count) * (1.0 - (1.0 - final) * _progress(count, total_steps, warmup))

    return rate


def exponential(
    peak: float,
    total_steps: Steps,
    warmup: int = 0,
    final: float = 0.1,
    hold: float = 0.0,
    stairs: int = 0,
) -> Schedule:
    """Return a schedule that holds `peak`, then decays exponentially to ``final * peak``.

    ``rate(n) = peak * final ^ max(0, (p - hold) / (1 - hold))``.

    Arguments:
        peak, total_steps, warmup: as for `cosine`, and p is as there.
        final: the share of `peak` left at the end.
        hold: the share of the run before the decay begins.
        stairs: decay in this many steps; 0 decays at every update.

    >>> rate = exponential(0.1, total_steps=100, final=0.25, stairs=2)
    >>> [round(float(rate(jnp.int32(n))), 3) for n in (49, 50)]
    [0.1, 0.05]
    """
    warm = constant(peak, warmup)

    def rate(count: Any) -> jax.Array:
        p = _progress(count, total_steps, warmup)
        p = jnp.floor(p * stairs) / stairs if stairs else p
        return warm(count) * final ** jnp.maximum(0.0, (p - hold) / (1.0 - hold))

    return rate


def _progress(count: Any, total_steps: Steps, warmup: int) -> jax.Array:
    """Return how much of the run after its warm-up is over, 0 to 1."""
    n = jnp.asarray(count, jnp.float32)
    span = jnp.maximum(1.0, jnp.asarray(total_steps, jnp.float32) - warmup)
    return jnp.clip((n - warmup) / span, 0.0, 1.0)
