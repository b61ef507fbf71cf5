"""Detecting numbers of a training that have become infinite or NaN."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from charrnn_core.cell import Carry


def all_finite(tree: object) -> jax.Array:
    """Return whether no floating-point number of the tree is infinite or NaN.

    >>> bool(all_finite({"w": jnp.ones(2), "n": jnp.int32(3)})), bool(all_finite([jnp.inf]))
    (True, False)
    """
    return _all(jnp.isfinite(leaf) for leaf, _ in _numbers(tree, tree))


def stays_finite(after: object, before: object) -> jax.Array:
    """Return whether every number that is infinite or NaN was so before.

    The state of an optimizer may start with an infinite number, such as the lowest loss so far.

    >>> bool(stays_finite([jnp.inf, 1.0], [jnp.inf, 2.0])), bool(stays_finite([jnp.nan], [2.0]))
    (True, False)
    """
    pairs = _numbers(after, before)
    return _all(jnp.isfinite(now) | ~jnp.isfinite(then) for now, then in pairs)


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


def _numbers(tree: object, other: object) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yield the pairs of floating-point leaves of two trees with the same structure."""
    for pair in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        one, two = map(jnp.asarray, pair)
        if jnp.issubdtype(one.dtype, jnp.inexact):
            yield one, two


def _all(truths: Iterator[jax.Array]) -> jax.Array:
    return jnp.all(jnp.stack([jnp.bool_(True), *(truth.all() for truth in truths)]))
