"""Leaves with a gradient, the inexact ones, among others that have none, such as counters."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array, Leaves


def parted(leaves: Sequence[Any], marks: Sequence[bool]) -> tuple[list[Any], list[Any]]:
    """Return the marked leaves, and the others."""
    pairs = list(zip(leaves, marks, strict=True))
    return [leaf for leaf, mark in pairs if mark], [leaf for leaf, mark in pairs if not mark]


def joined(marked: Sequence[Any], others: Sequence[Any], marks: Sequence[bool]) -> list[Any]:
    """Return what `parted` took apart."""
    one, other = iter(marked), iter(others)
    return [next(one) if mark else next(other) for mark in marks]


def _are_inexact(leaves: Sequence[Array]) -> list[bool]:
    """Say of each leaf whether it has a gradient."""
    return [bool(jnp.issubdtype(leaf.dtype, jnp.inexact)) for leaf in leaves]


def only_inexact(leaves: Sequence[Array], like: Sequence[Array] | None = None) -> Leaves:
    """Return the leaves that have a gradient, or those where one of `like` has."""
    return parted(leaves, _are_inexact(leaves if like is None else like))[0]


def with_inexact(leaves: Sequence[Array], inexact: Sequence[Array]) -> Leaves:
    """Return the leaves, those that have a gradient taken from `inexact`."""
    marks = _are_inexact(leaves)
    return joined(inexact, parted(leaves, marks)[1], marks)


def with_float0(leaves: Sequence[Array], gradients: Sequence[Array]) -> list[Any]:
    """Return gradients for all leaves: of type float0 for those that have none."""
    marks = _are_inexact(leaves)
    exact = parted(leaves, marks)[1]
    return joined(gradients, [np.zeros(x.shape, jax.dtypes.float0) for x in exact], marks)
