"""The unroll engine: a cell's step over time. For now `jax.lax.scan` behind its final interface."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def unroll(
    step: Step,
    params: Any,
    carry: Any,
    xs: Any,
    *,
    reset: jax.Array | None = None,
    fresh: Any = None,
) -> tuple[Any, Any]:
    """Apply ``carry, y = step(params, carry, x)`` along the first axis of `xs`.

    Arguments:
        step: a pure function.
        params: a pytree, the same at every step.
        carry: a pytree, the state before the first step.
        xs: a pytree with time first, ``[T, ...]``.
        reset: bool ``[T]`` or ``[T,B]``: where True, that row of the carry is replaced by `fresh`
            before the step.
        fresh: the carry a reset starts from; zeros if None.

    Returns:
        The carry after the last step, and the outputs ``[T, ...]``.

    >>> cumulative_sum = lambda params, carry, x: (carry + x, carry + x)
    >>> unroll(cumulative_sum, None, jnp.int32(0), jnp.arange(4))[1].tolist()
    [0, 1, 3, 6]
    >>> reset = jnp.array([False, False, True, False])
    >>> unroll(cumulative_sum, None, jnp.int32(0), jnp.arange(4), reset=reset)[1].tolist()
    [0, 1, 2, 5]
    """
    if reset is None:
        return lax.scan(lambda carry, x: step(params, carry, x), carry, xs)
    start = jax.tree.map(jnp.zeros_like, carry) if fresh is None else fresh

    def step_or_restart(carry: Any, x_and_reset: tuple[Any, jax.Array]) -> tuple[Any, Any]:
        x, mask = x_and_reset
        carry = jax.tree.map(lambda old, new: _where_rows(mask, new, old), carry, start)
        return step(params, carry, x)

    return lax.scan(step_or_restart, carry, (xs, reset))


def _where_rows(mask: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` where the mask of the leading axes is True, else `old`."""
    aligned = mask.reshape(mask.shape + (1,) * (old.ndim - mask.ndim))
    return jnp.where(aligned, new, old)
