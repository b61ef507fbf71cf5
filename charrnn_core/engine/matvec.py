"""One row times a matrix, which is what a single stream needs at every step.

XLA multiplies a row with a matrix on one core, but a batch of products on all: a large matrix is
taken as two, its upper and its lower half.
"""

from collections.abc import Mapping
from typing import Any

from jax import lax

_WORTH_TWO_CORES = 2**17
"""Elements of a matrix; handing work to the other core costs about as long as reading so many."""


def row_times(row: Any, matrix: Any, options: Mapping[str, Any]) -> Any:
    """``row @ matrix``, for ``row: [..., n]`` with n elements and ``matrix: [n, m]``.

    Arguments:
        options: ``precision`` and ``preferred_element_type``, as of `jax.lax.dot_general`.

    >>> import jax.numpy as jnp
    >>> row_times(jnp.ones((1, 2)), jnp.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), {}).tolist()
    [[11.0, 22.0, 33.0]]
    """
    n, m = matrix.shape
    if not _in_halves(matrix):
        return lax.dot_general(row, matrix, (((row.ndim - 1,), (0,)), ((), ())), **options)
    pair = (row.reshape(2, 1, n // 2), matrix.reshape(2, n // 2, m))
    sums = lax.dot_general(*pair, (((2,), (1,)), ((0,), (0,))), **options)
    return (sums[0] + sums[1]).reshape(*row.shape[:-1], m)


def row_times_transposed(row: Any, matrix: Any, options: Mapping[str, Any]) -> Any:
    """``row @ matrix.T``, for ``row: [..., m]`` with m elements and ``matrix: [n, m]``."""
    n, m = matrix.shape
    if not _in_halves(matrix):
        return lax.dot_general(row, matrix, (((row.ndim - 1,), (1,)), ((), ())), **options)
    pair = (lax.broadcast(row.reshape(1, m), (2,)), matrix.reshape(2, n // 2, m))
    halves = lax.dot_general(*pair, (((2,), (2,)), ((0,), (0,))), **options)
    return halves.reshape(*row.shape[:-1], n)


def _in_halves(matrix: Any) -> bool:
    return matrix.size >= _WORTH_TWO_CORES and matrix.shape[0] % 2 == 0
