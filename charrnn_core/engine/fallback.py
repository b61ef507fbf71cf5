"""What happens when the unroll engine fails: a plain scan takes over, and the user is told.

The engine reads what jax calls internal, so a new jax may break it where nobody has looked. That
must cost speed and never a training. A step that is itself at fault is another matter: it fails in
a plain scan too, and that error is the one to raise.
"""

import logging
import warnings
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves, Tree
from charrnn_core.blame import is_no_bug, told
from charrnn_core.errors import EngineError, EngineWarning

_log = logging.getLogger(__name__)

T = TypeVar("T")

REMEDY = (
    "a plain scan, which is slower, takes over with the same results; please report this with the "
    "versions of jax and charrnn"
)


def attempt(engine: Callable[[], T], plainly: Callable[[], T]) -> tuple[T, Exception | None]:
    """Return what the engine gives; or what the plain way gives, and why the engine failed.

    Raises:
        Exception: whatever the plain way raises, since the engine is not to blame then.

    >>> attempt(lambda: 1, lambda: 2)
    (1, None)
    >>> attempt(lambda: 1 // 0, lambda: 2)
    (2, ZeroDivisionError('integer division or modulo by zero'))
    """
    try:
        return engine(), None
    except Exception as error:  # whatever reading jax's internals leads to
        if is_no_bug(error):
            raise
        fault = error
    return plainly(), fault


def report(fault: Exception, forced: bool) -> None:
    """Log a known limit, warn of any other failure of the engine, or raise if it was asked for.

    Raises:
        EngineError: the engine was `forced`.
    """
    if forced:
        raise EngineError(f"{why(fault)}; use --unroll auto or --unroll scan") from fault
    if is_limit(fault):
        _log.info("a plain scan: %s", fault)
    else:
        warn(why(fault))


def warn(reason: str) -> None:
    """Warn that the engine failed; Python shows a warning once."""
    warnings.warn(f"{reason}; {REMEDY}", EngineWarning, stacklevel=2)


def why(fault: Exception) -> str:
    """Return the reason for a plain scan, a phrase."""
    return str(fault) if is_limit(fault) else f"the unroll engine failed on the step: {told(fault)}"


def is_limit(fault: Exception) -> bool:
    """Say whether it is a known limit: a primitive without a batching rule."""
    return isinstance(fault, NotImplementedError)


def trace_gradient(function: Callable[..., Tree], *shapes: Tree) -> None:
    """Trace the gradient of a function's results by all its arguments that can have one.

    >>> trace_gradient(lambda W, h: (h @ W, h), jnp.eye(3), jnp.ones((2, 3)))
    """
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda *trees: trees, *shapes))
    free = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def total(some: Leaves, others: Leaves) -> Array:
        one, other = iter(some), iter(others)
        arguments = jax.tree.unflatten(structure, [next(one if f else other) for f in free])
        results = map(jnp.asarray, jax.tree.leaves(function(*arguments)))
        sums = [jnp.sum(jnp.real(y).astype(jnp.float32)) for y in results]
        return sum(sums, start=jnp.float32(0))

    some, others = ([x for x, f in zip(leaves, free, strict=True) if f == w] for w in (True, False))
    jax.eval_shape(jax.grad(total), some, others)
