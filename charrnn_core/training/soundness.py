"""Detecting numbers of a training that have become infinite or NaN."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from charrnn_core.cell import Carry

_SMALL = 1 << 20


def all_finite(tree: object) -> jax.Array:
    """Return whether no floating-point number of the tree is infinite or NaN.

    >>> bool(all_finite({"w": jnp.ones(2), "n": jnp.int32(3)})), bool(all_finite([jnp.inf]))
    (True, False)
    """
    return _all(jnp.isfinite, _numbers(tree))


def stays_finite(after: object, before: object) -> jax.Array:
    """Return whether every number that is infinite or NaN was so before.

    The state of an optimizer may start with an infinite number, such as the lowest loss so far.

    >>> bool(stays_finite([jnp.inf, 1.0], [jnp.inf, 2.0])), bool(stays_finite([jnp.nan], [2.0]))
    (True, False)
    """
    return _all(lambda now, then: jnp.isfinite(now) | ~jnp.isfinite(then), _numbers(after, before))


def lost_rows(carry: Carry, fresh: Carry, streams: int) -> jax.Array:
    """Return which streams have a carry that is not finite: ``bool[streams]``.

    A number that is infinite in a fresh carry too, such as a running maximum, does not count.

    >>> fresh = jnp.array([[-jnp.inf, 0.0]] * 2)
    >>> lost_rows(jnp.array([[-jnp.inf, 1.0], [-jnp.inf, jnp.nan]]), fresh, 2).tolist()
    [False, True]
    """
    lost = jnp.zeros(streams, bool)
    for now, start in _numbers(carry, fresh):
        bad = ~jnp.isfinite(now) & (now != start)
        lost |= bad.any(axis=tuple(range(1, bad.ndim)))
    return lost


def _numbers(*trees: object) -> Iterator[tuple[jax.Array, ...]]:
    """Yield the floating-point leaves of trees with the same structure, side by side."""
    for leaves in zip(*map(jax.tree.leaves, trees), strict=True):
        arrays = tuple(map(jnp.asarray, leaves))
        if jnp.issubdtype(arrays[0].dtype, jnp.inexact):
            yield arrays


def _all(holds: Callable[..., jax.Array], numbers: Iterator[tuple[jax.Array, ...]]) -> jax.Array:
    """Return whether something holds of all numbers.

    Small arrays are looked at as one, because each costs several kernels, which take XLA longer to
    compile than the network does.
    """
    small, alone = defaultdict[jnp.dtype, list[tuple[jax.Array, ...]]](list), []
    for arrays in numbers:
        if arrays[0].size <= _SMALL:
            small[arrays[0].dtype].append(tuple(map(jnp.ravel, arrays)))
        else:
            alone.append(holds(*arrays).all())
    for some in small.values():
        # XLA would take the sum apart again if it could see that it is one.
        joined = jax.lax.optimization_barrier(tuple(map(jnp.concatenate, zip(*some, strict=True))))
        alone.append(holds(*joined).all())
    return jnp.all(jnp.stack([jnp.bool_(True), *alone]))
