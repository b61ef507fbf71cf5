"""The engine in place of ``jax.lax.scan``, for anybody's step."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.engine.unroll import unroll as over_time
from charrnn_core.public import public


@public
def scan(
    f: Callable[[Carry, Tree], tuple[Carry, Tree]],
    init: Carry,
    xs: Tree = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Carry, Tree]:
    """Apply ``carry, y = f(carry, x)`` along the first axis of `xs`, as ``jax.lax.scan`` does.

    What it returns is that of ``lax.scan``, but for the order of additions. Products that do not
    need the carry leave the loop, and the gradients of the weights that `f` closes over are made
    after the backward loop; see docs/engine.md. Where that cannot help it is ``lax.scan``.

    Arguments:
        f: a pure function; the parameters are what it closes over.
        init: the carry before the first step, a pytree.
        xs: a pytree with time first, ``[T, ...]``; None, with a length, for a step that reads
            nothing.
        length: T, which need not be given with `xs`.
        reverse: go from the last step to the first.
        unroll: taken so that calls of ``lax.scan`` need no change; it has no effect.

    Returns:
        The carry after the last step, and the outputs ``[T, ...]``.

    Raises:
        TypeError, ValueError: what ``lax.scan`` raises for the same arguments.

    It has no forward mode (``jax.jvp``); ``lax.scan`` has. Reverse mode works, also twice.

    >>> W = jnp.eye(3)
    >>> f = lambda h, x: (jnp.tanh(h @ W + x),) * 2
    >>> carry, ys = scan(f, jnp.zeros((2, 3)), jnp.ones((4, 2, 3)))
    >>> ys.shape
    (4, 2, 3)
    """
    plainly = partial(lax.scan, f, length=length, reverse=reverse)
    _, outputs = jax.eval_shape(plainly, init, xs)  # it refuses what lax.scan refuses
    leaves = jax.tree.leaves(xs)
    if not leaves and not jax.tree.leaves(outputs) and length is None:
        return plainly(init, xs)
    steps = leaves[0].shape[0] if leaves else length
    # The engine reads the number of steps from an input, which need not be one of the step's.
    read = (xs, None if leaves else jnp.arange(steps))

    def step(params: Params, carry: Carry, x: Tree) -> tuple[Carry, Tree]:
        return f(carry, x[0])

    turned = partial(jax.tree.map, _turned) if reverse else lambda tree: tree
    carry, ys = over_time(step, None, init, turned(read))
    return carry, turned(ys)


def _turned(leaf: Array) -> Array:
    return jnp.flip(leaf, axis=0)
