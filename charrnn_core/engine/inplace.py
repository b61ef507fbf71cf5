"""A scan whose results take the place of what it reads.

``lax.scan`` reads one stack of arrays and fills another, which XLA first sets to zero. Where a
step's result has the shape of something that the step alone reads, it can be written over it: there
is one stack less to fill, and one less to keep in the processor's cache.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Leaves

StepInPlace = Callable[[Any, Any, Leaves], tuple[Any, Any, Leaves]]
"""``(carry, x, old) -> (carry, y, new)``: `new` takes the place of `old`."""


def scan_in_place(
    step: StepInPlace,
    carry: Any,
    xs: Any,
    stacks: Leaves,
    length: int,
    reverse: bool = False,
) -> tuple[Any, Any, Leaves]:
    """Apply a step along time, and return the last carry, the ys, and the stacks rewritten.

    Arguments:
        step: ``(carry, x, old) -> (carry, y, new)``; every array of `new` must depend on the array
            of `old` in its place, or XLA copies the stack before it is written.
        carry: a pytree.
        xs: a pytree with time first.
        stacks: arrays with time first, ``[T,...]``.
        length: T.
        reverse: whether to begin with the last step.

    >>> add = lambda total, x, old: (total + x, None, [old[0] + total])
    >>> total, _, [stack] = scan_in_place(add, 0, jnp.arange(3), [jnp.array([10, 20, 30])], 3)
    >>> int(total), stack.tolist()
    (3, [10, 20, 31])
    """

    def write(state: tuple[Any, Leaves], item: tuple[Any, Any]) -> tuple[tuple[Any, Leaves], Any]:
        (carry, stacks), (t, x) = state, item
        old = [jax.lax.dynamic_index_in_dim(stack, t, keepdims=False) for stack in stacks]
        carry, y, new = step(carry, x, old)
        pairs = zip(stacks, new, strict=True)
        stacks = [jax.lax.dynamic_update_index_in_dim(s, leaf, t, 0) for s, leaf in pairs]
        return (carry, stacks), y

    times = jnp.arange(length)
    (carry, stacks), ys = jax.lax.scan(write, (carry, stacks), (times, xs), length, reverse=reverse)
    return carry, ys, stacks
