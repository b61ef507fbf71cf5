"""Muon against a singular value decomposition in float64, and which parameters it takes."""

from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn_optimizers.muon import orthogonalized, roles
from charrnn_optimizers.polar import polar_factors, polynomials
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.testing.optimizers import applied, updating

EXACT = 8
"""So many polynomials leave no error that float32 could hold, if no singular value is tiny."""


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def with_values(values: list[float], rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """A matrix with these singular values."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(n, len(values))))[0] for n in (rows, columns))
    return u @ np.diag(values) @ v.T


def factor(matrix: np.ndarray) -> np.ndarray:
    """``U V^T``."""
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


def scaled(matrix: np.ndarray) -> np.ndarray:
    rows, columns = matrix.shape
    return max(1, columns / rows) ** 0.5 * factor(matrix)


def whole(changes: Any) -> Any:
    return orthogonalized(jax.tree.map(jnp.float32, changes), EXACT)


# --- the polynomials ---


@pytest.mark.parametrize("least", [0.003, 0.02, 0.1])
def test_each_polynomial_is_the_closest_to_one(least: float) -> None:
    """Chebyshev: a polynomial of three terms is the best one if its error alternates four times."""
    most = 1.0
    for a, b, c in islice(polynomials(least), 4):
        s = np.linspace(least, most, 100_001)
        error = a * s + b * s**3 + c * s**5 - 1
        size = np.abs(error).max()
        assert error[[0, -1]] == pytest.approx([-size, size], rel=1e-3)
        extremes = np.sign(error[np.abs(error) > 0.999 * size])
        assert np.count_nonzero(np.diff(extremes)) == 3
        least, most = 1 - size, 1 + size


def test_from_a_narrow_interval_on_they_are_taylors_series() -> None:
    assert list(islice(polynomials(0.02), 12))[-1] == (1.875, -1.25, 0.375)


# --- the factors ---


@pytest.mark.parametrize("shape", [(5, 6), (6, 6), (2, 7)])
def test_many_polynomials_give_the_polar_factor(shape: tuple[int, int]) -> None:
    matrices = random(3, *shape)
    expected = np.stack([factor(matrix) for matrix in matrices])
    got = polar_factors(jnp.float32(matrices), EXACT)
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_change_the_singular_values_alone(steps: int) -> None:
    values = np.array([7.0, 3.0, 0.4, 0.05, 1e-3])
    matrix = with_values(list(values), 5, 6)
    s = values / np.sum(values**8) ** (1 / 8)
    for a, b, c in islice(polynomials(0.02), steps):
        s = a * s + b * s**3 + c * s**5
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    got = polar_factors(jnp.float32(matrix)[None], steps)[0]
    np.testing.assert_allclose(got, u * s @ vt, atol=5e-5)


@given(
    values=st.lists(st.floats(1e-6, 1), min_size=4, max_size=4),
    scale=st.sampled_from([1e-15, 1e-6, 1.0, 1e12]),
    seed=st.integers(0, 9),
)
def test_no_singular_value_gets_large(values: list[float], scale: float, seed: int) -> None:
    matrix = scale * with_values(values, 4, 6, seed)
    got = np.linalg.svd(polar_factors(jnp.float32(matrix)[None], 2)[0], compute_uv=False)
    assert 0.4 < got.max() < 1.6


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-25, 1e30])
@pytest.mark.parametrize("rank", [1, 5])
def test_whatever_the_size_the_result_is_finite(size: float, rank: int) -> None:
    matrix = size * with_values([1.0] * rank, 5, 6)
    got = np.asarray(polar_factors(jnp.float32(matrix)[None], 2))
    assert np.isfinite(got).all() and np.abs(got).max() < 2
    if not size:
        assert not got.any()


def test_a_matrix_does_not_change_its_neighbours_in_the_batch() -> None:
    matrices = jnp.float32(random(3, 4, 5))
    alone = polar_factors(matrices[1:2], 2)
    beside = polar_factors(matrices.at[0].set(0).at[2].multiply(1e6), 2)[1:2]
    np.testing.assert_allclose(beside, alone, atol=1e-6)


# --- trees ---


@pytest.mark.parametrize("shape", [(5, 5), (3, 4), (6, 4), (2, 9), (9, 2)])
def test_square_tall_and_wide_matrices(shape: tuple[int, int]) -> None:
    matrix = random(*shape)
    np.testing.assert_allclose(whole({"W": matrix})["W"], scaled(matrix), atol=3e-5)


def test_rows_columns_and_vectors_are_left_alone() -> None:
    changes = {"bias": random(5), "row": random(1, 5), "column": random(5, 1), "one": random(1, 1)}
    got = whole(changes)
    jax.tree.map(np.testing.assert_array_equal, got, jax.tree.map(np.float32, changes))
    assert set(jax.tree.leaves(roles(jax.tree.map(jnp.float32, changes)))) == {"adam"}
    assert roles({"scalar": jnp.float32(1), "whole": jnp.ones((3, 3), jnp.int32)}) == {
        "scalar": "adam",
        "whole": "adam",
    }


def test_gates_side_by_side_are_as_if_apart() -> None:
    """The state is 5 wide; what reads the input, 3, and what reads both, have its gates too."""
    gates = {
        "W": [random(5, 5, seed=i) for i in range(4)],
        "U": [random(3, 5, seed=i) for i in range(4, 6)],
        "both": [random(8, 5, seed=i) for i in range(6, 9)],
    }
    got = whole({name: np.concatenate(some, axis=1) for name, some in gates.items()})
    for name, some in gates.items():
        expected = np.concatenate([scaled(gate) for gate in some], axis=1)
        np.testing.assert_allclose(got[name], expected, atol=3e-5)


def test_the_readout_tells_the_width_where_no_matrix_of_the_cell_reads_the_state() -> None:
    U, V = random(3, 6), random(3, 12, seed=1)
    cell = {"U": U, "V": V, "bias": random(1, 6)}
    tables = {"embedding": random(12, 3), "readout": {"kernel": random(6, 7), "bias": random(7)}}
    got = whole({"cell": cell} | tables)["cell"]
    np.testing.assert_allclose(got["U"], scaled(U), atol=3e-5)
    expected = np.concatenate([scaled(V[:, :6]), scaled(V[:, 6:])], axis=1)
    np.testing.assert_allclose(got["V"], expected, atol=3e-5)


def test_many_matrices_in_one_array_are_made_orthogonal_one_by_one() -> None:
    heads = random(2, 3, 4, 5)
    expected = [[scaled(matrix) for matrix in some] for some in heads]
    np.testing.assert_allclose(whole({"W": heads})["W"], expected, atol=3e-5)


def test_narrow_floats_keep_their_dtype() -> None:
    matrix = random(4, 5)
    got = orthogonalized({"W": jnp.asarray(matrix, jnp.bfloat16)}, 2)["W"]
    assert got.dtype == jnp.bfloat16
    expected = orthogonalized({"W": jnp.float32(matrix)}, 2)["W"]
    np.testing.assert_allclose(np.float32(got), expected, atol=0.05)


@pytest.mark.parametrize(
    "cell", ["elman", "lstm", "gru", "mogrifier", "slstm", "mingru", "flax:OptimizedLSTMCell"]
)
def test_the_matrices_of_a_cell(cell: str) -> None:
    name, _, argument = cell.partition(":")
    ref = Ref(name, f"{argument}:6" if argument else "6")
    network = Network(Registry.installed().build_cell(ref, as_cell), symbols=7, embedding=5)
    found = roles(network.shapes)
    assert set(jax.tree.leaves([found["embedding"], found["readout"]])) == {"adam"}
    expected = jax.tree.map(
        lambda leaf: "muon" if leaf.ndim == 2 else "adam", network.shapes["cell"]
    )
    assert found["cell"] == expected and "muon" in jax.tree.leaves(expected)


# --- the optimizer ---


def test_updates_against_their_equation(registry: Registry) -> None:
    """Three updates of a cell's matrix and of an embedding, by hand in float64."""
    rate, adam_rate, decay, momentum, b1, b2 = 0.3, 0.02, 0.1, 0.7, 0.8, 0.6
    set_to = {"clip": 0, "warmup": 0, "schedule": "linear", "final": 0, "steps": EXACT}
    set_to |= {"adam_rate": adam_rate, "weight_decay": decay, "momentum": momentum}
    options = registry.options("optimizer", Ref("muon", str(rate), set_to | {"b1": b1, "b2": b2}))
    optimizer = registry.load("optimizer", Ref("muon"))(options, 4)
    W, E = random(4, 5, seed=1), random(6, 3, seed=2)
    params = jax.tree.map(jnp.float32, {"cell": {"W": W}, "context": E})
    state = optimizer.init(params)
    m, first, second = np.zeros_like(W), np.zeros_like(E), np.zeros_like(E)
    for n in range(3):
        g, e = random(4, 5, seed=10 + n), random(6, 3, seed=20 + n)
        grads = jax.tree.map(jnp.float32, {"cell": {"W": g}, "context": e})
        changes, state = updating(optimizer)(grads, state, params)
        params = applied(params, changes)
        left = 1 - n / 4
        m = momentum * m + g
        W = W - left * rate * (scaled(momentum * m + g) + decay * W)
        first, second = b1 * first + (1 - b1) * e, b2 * second + (1 - b2) * e**2
        unbiased = first / (1 - b1 ** (n + 1)), second / (1 - b2 ** (n + 1))
        E = E - left * adam_rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        np.testing.assert_allclose(params["cell"]["W"], W, atol=5e-5)
        np.testing.assert_allclose(params["context"], E, atol=1e-5)


def test_what_it_remembers_of_a_table_has_the_shape_of_the_table(registry: Registry) -> None:
    """So that rows can be updated alone."""
    optimizer = registry.load("optimizer", Ref("muon"))(
        registry.options("optimizer", Ref("muon")), 9
    )
    params = {"cell": {"W": jnp.ones((4, 4))}, "context": jnp.ones((11, 3))}
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(optimizer.init(params)) if leaf.ndim)
    assert shapes == [(4, 4), (11, 3), (11, 3)]
