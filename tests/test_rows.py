"""One row times a matrix, on either side of the size from which it is taken as two halves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.engine import matvec as rows
from charrnn_core.engine.matvec import row_times, row_times_transposed
from tests.agreement import agree, compare, normal

SHAPES = [(6, 5), (7, 4), (512, 256), (513, 256), (514, 257)]
LEADING = [(), (1,), (1, 1)]


def test_the_shapes_lie_on_both_sides_of_the_threshold():
    halved = [rows._in_halves(jnp.zeros(shape)) for shape in SHAPES]
    assert halved == [False, False, True, False, True]


@pytest.mark.parametrize("leading", LEADING, ids=str)
@pytest.mark.parametrize("n, m", SHAPES)
def test_it_is_the_product(n, m, leading):
    rng = np.random.default_rng(0)
    matrix, row, back = rng.normal(size=(n, m)), rng.normal(size=n), rng.normal(size=m)
    ours = row_times(jnp.float32(row.reshape(*leading, n)), jnp.float32(matrix), {})
    turned = row_times_transposed(jnp.float32(back.reshape(*leading, m)), jnp.float32(matrix), {})
    assert (ours.shape, turned.shape) == ((*leading, m), (*leading, n))
    agree(ours, (row @ matrix).reshape(*leading, m).astype(np.float32), 1e-5)
    agree(turned, (back @ matrix.T).reshape(*leading, n).astype(np.float32), 1e-5)


def test_a_wider_result_may_be_asked_for():
    row, matrix = normal(0, 1, 512, dtype=jnp.bfloat16), normal(1, 512, 256, dtype=jnp.bfloat16)
    ours = row_times(row, matrix, {"preferred_element_type": jnp.float32})
    exact = np.asarray(row, np.float64) @ np.asarray(matrix, np.float64)
    agree(ours, exact.astype(np.float32), 1e-5)


@pytest.mark.parametrize("row", [(1,), ()], ids=["one row", "no batch"])
def test_a_large_step_with_one_row(row):
    H = 512
    assert rows._in_halves(jnp.zeros((H, H)))
    params = {"W": normal(0, H, H, scale=H**-0.5), "b": normal(1, *row, H)}

    def step(p, h, x):
        h = jnp.tanh(h @ p["W"] + p["b"] + x)
        return h, h

    compare(step, params, normal(2, *row, H), normal(3, 4, *row, H), 1e-5)


def test_many_single_rows_under_vmap():
    matrix, many = normal(0, 512, 256), normal(1, 3, 1, 512)
    ours = jax.vmap(lambda row: row_times(row, matrix, {}))(many)
    agree(ours, jnp.einsum("brn,nm->brm", many, matrix), 1e-5)
