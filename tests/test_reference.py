"""The network, its loss and every gradient against a naive loop in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref

T, B, H, V = 3, 4, 5, 6


def make_network(registry, spec: str, embedding: int = 0) -> Network:
    cell = registry.build_cell(registry.resolve("cell", Ref.parse(spec)), as_cell)
    return Network(cell, symbols=V, embedding=embedding)


def random_params(network: Network, seed: int = 0):
    """Parameters with every entry random, biases too: zeros would hide mistakes."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * 0.5, jnp.float32), shapes
    )


def random_batch(seed: int = 1):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(V, size=(2, T, B)).astype(np.int32)
    weights = rng.uniform(0.2, 1.0, size=(T, B)).astype(np.float32)
    reset = np.zeros((T, B), bool)
    reset[1, 2] = reset[2, 0] = True
    carry = rng.normal(size=(B, H)).astype(np.float32)
    return inputs, targets, weights, reset, carry


def naive_loss(params, inputs, targets, weights, reset, carry) -> float:
    """One character of one stream at a time, as the textbook writes it."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    W, b = p["cell"]["W"]["kernel"], p["cell"]["W"]["bias"]
    U = p["cell"]["U"]["kernel"]
    R, c = p["readout"]["kernel"], p["readout"]["bias"]
    total = weight = 0.0
    for j in range(B):
        h = np.asarray(carry[j], np.float64)
        for t in range(T):
            if reset[t, j]:
                h = np.zeros(H)
            x = p["embedding"][inputs[t, j]] if "embedding" in p else np.eye(V)[inputs[t, j]]
            h = np.tanh(h @ W + x @ U + b)
            o = h @ R + c
            nats = np.log(np.sum(np.exp(o))) - o[targets[t, j]]
            total += weights[t, j] * nats
            weight += weights[t, j]
    return total / weight


def loss_function(registry, network: Network):
    loss = registry.load("loss", Ref("crossentropy"))(None)

    def nats(params, inputs, targets, weights, reset, carry):
        logits, _ = network.unroll(params, carry, inputs, reset)
        return loss(logits, targets, weights)

    return nats


@pytest.mark.parametrize("embedding", [0, 7])
def test_loss_equals_the_naive_loop(registry, embedding):
    network = make_network(registry, f"elman:{H}", embedding)
    params, batch = random_params(network), random_batch()
    ours = loss_function(registry, network)(params, *map(jnp.asarray, batch))
    assert float(ours) == pytest.approx(naive_loss(params, *batch), rel=1e-6)


@pytest.mark.parametrize("embedding", [0, 7])
def test_every_gradient_equals_finite_differences(registry, embedding):
    network = make_network(registry, f"elman:{H}", embedding)
    params, batch = random_params(network), random_batch()
    inputs, targets, weights, reset, carry = batch
    gradient = jax.grad(loss_function(registry, network), argnums=(0, 5))
    grads, carry_grad = gradient(params, *map(jnp.asarray, batch))
    leaves, structure = jax.tree.flatten(params)
    step = 1e-5
    for i, leaf in enumerate(leaves):
        numeric = np.zeros(leaf.shape)
        for place in np.ndindex(*leaf.shape):
            sides = []
            for sign in (1, -1):
                moved = [np.array(other, np.float64) for other in leaves]
                moved[i][place] += sign * step
                sides.append(naive_loss(jax.tree.unflatten(structure, moved), *batch))
            numeric[place] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(jax.tree.leaves(grads)[i], numeric, rtol=2e-4, atol=2e-6)
    numeric = np.zeros(carry.shape)
    for place in np.ndindex(*carry.shape):
        sides = []
        for sign in (1, -1):
            moved = np.array(carry, np.float64)
            moved[place] += sign * step
            sides.append(naive_loss(params, inputs, targets, weights, reset, moved))
        numeric[place] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(carry_grad, numeric, rtol=2e-4, atol=2e-6)


def test_activations(registry):
    x, h = np.array([[0.3, -0.7, 0.2]], np.float32), np.array([[0.5, -0.1]], np.float32)
    functions = {
        "tanh": np.tanh,
        "relu": lambda a: np.maximum(a, 0),
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    }
    for name, function in functions.items():
        ref = Ref("elman", "2", {"activation": name, "recurrent_init": "glorot"})
        cell = registry.build_cell(registry.resolve("cell", ref), as_cell)
        params = cell.init(jax.random.key(3), 3)
        W, b, U = map(
            np.asarray, (params["W"]["kernel"], params["W"]["bias"], params["U"]["kernel"])
        )
        expected = function(h @ W + x @ U + b)
        np.testing.assert_allclose(cell.step(params, h, x)[1], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "spec", [f"elman:{H}", f"stacked:elman:{H},elman:7", f"stacked:elman:{H}*3"]
)
def test_windows_in_a_row_equal_one_long_window(registry, spec):
    network = make_network(registry, spec)
    params = random_params(network)
    inputs = np.random.default_rng(5).integers(V, size=(12, B)).astype(np.int32)
    start = network.initial_carry(params, B)
    unroll = jax.jit(network.unroll)
    whole, end = unroll(params, start, inputs)
    carry, pieces = start, []
    for window in np.split(inputs, 4):
        logits, carry = unroll(params, carry, window)
        pieces.append(logits)
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5, atol=1e-6)
    for ours, expected in zip(jax.tree.leaves(carry), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("residual", [False, True])
def test_second_layer_reads_the_first_ones_output(registry, residual):
    ref = Ref("stacked", f"elman:{H}*2", {"residual": residual})
    cell = registry.build_cell(registry.resolve("cell", ref), as_cell)
    single = as_cell(registry.build_cell(Ref("elman", str(H)), as_cell))
    params = cell.init(jax.random.key(0), H)
    rng = np.random.default_rng(2)
    x, h0, h1 = rng.normal(size=(3, B, H)).astype(np.float32)
    (a0, a1), y = cell.step(params, (h0, h1), x)
    _, first = single.step(params["layer_0"], h0, x)
    between = x + first if residual else first
    _, second = single.step(params["layer_1"], h1, between)
    np.testing.assert_allclose(a0, first, rtol=1e-6)
    np.testing.assert_allclose(a1, second, rtol=1e-6)
    np.testing.assert_allclose(y, between + second if residual else second, rtol=1e-6)


@pytest.mark.parametrize("init, is_orthogonal", [("orthogonal", True), ("glorot", False)])
def test_recurrent_initialisation(registry, init, is_orthogonal):
    ref = Ref("elman", "32", {"recurrent_init": init})
    cell = registry.build_cell(registry.resolve("cell", ref), as_cell)
    W = np.asarray(cell.init(jax.random.key(0), 3)["W"]["kernel"])
    assert np.allclose(W @ W.T, np.eye(32), atol=1e-5) == is_orthogonal
    assert abs(W).max() <= (1.0 if is_orthogonal else np.sqrt(6 / 64))
