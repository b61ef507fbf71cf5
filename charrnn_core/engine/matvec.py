"""One row times a matrix, which is what a single stream needs at every step.

XLA multiplies a row with a matrix on one core, but a batch of products on all: a large matrix is
taken as two, its upper and its lower half.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from jax import lax

from charrnn_core.arrays import Array

Precision: TypeAlias = Mapping[str, Any]
"""``precision`` and ``preferred_element_type``, as `jax.lax.dot_general` takes them."""

_WORTH_TWO_CORES = 2**17
"""Elements of a matrix; handing work to another core takes about as long as reading this many."""


def row_times(row: Array, matrix: Array, precision: Precision) -> Array:
    """Multiply ``row @ matrix``, for ``row: [..., n]`` with n elements and ``matrix: [n, m]``.

    >>> import jax.numpy as jnp
    >>> row_times(jnp.ones((1, 2)), jnp.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), {}).tolist()
    [[11.0, 22.0, 33.0]]
    """
    n, m = matrix.shape
    if not _in_halves(matrix):
        return lax.dot_general(row, matrix, (((row.ndim - 1,), (0,)), ((), ())), **precision)
    pair = (row.reshape(2, 1, n // 2), matrix.reshape(2, n // 2, m))
    sums = lax.dot_general(*pair, (((2,), (1,)), ((0,), (0,))), **precision)
    return (sums[0] + sums[1]).reshape(*row.shape[:-1], m)


def row_times_transposed(row: Array, matrix: Array, precision: Precision) -> Array:
    """Multiply ``row @ matrix.T``, for ``row: [..., m]`` with m elements and ``matrix: [n, m]``."""
    n, m = matrix.shape
    if not _in_halves(matrix):
        return lax.dot_general(row, matrix, (((row.ndim - 1,), (1,)), ((), ())), **precision)
    pair = (lax.broadcast(row.reshape(1, m), (2,)), matrix.reshape(2, n // 2, m))
    halves = lax.dot_general(*pair, (((2,), (2,)), ((0,), (0,))), **precision)
    return halves.reshape(*row.shape[:-1], n)


def _in_halves(matrix: Array) -> bool:
    return matrix.size >= _WORTH_TWO_CORES and matrix.shape[0] % 2 == 0
