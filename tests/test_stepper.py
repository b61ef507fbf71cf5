"""A prepared step equals the step as it is written."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.stepper import prepare_step
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref

B, H, V = 3, 5, 6


@pytest.mark.parametrize("embedding", [0, 4])
@pytest.mark.parametrize("streams", [1, B, V, 8])
@pytest.mark.parametrize("name", ["elman", "stacked", "gru", "lstm"])
def test_cells(registry, name, streams, embedding):
    made = {
        "elman": Ref("elman", str(H)),
        "stacked": Ref("stacked", f"elman:{H},elman:4,elman:{H}", {"residual": True}),
        "gru": nn.GRUCell(H),
        "lstm": nn.OptimizedLSTMCell(H),
    }[name]
    cell = registry.build_cell(made, as_cell) if isinstance(made, Ref) else as_cell(made)
    network = Network(cell, V, embedding)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32),
        network.shapes,
    )
    carry, plain = network.initial_carry(params, streams), jax.jit(network.step)
    step = jax.jit(lambda p, c, ids: network.stepper(p, c, streams)(c, ids))
    for _ in range(3):
        ids = jnp.asarray(rng.integers(V, size=streams), jnp.int32)
        logits, after = step(params, carry, ids)
        expected, carry = plain(params, carry, ids)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
        for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(carry), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_values_that_mix_rows_and_ids_used_as_numbers():
    """What does not follow from a row's own id is computed at every step."""

    def step(W, h, ids):
        x = jax.nn.one_hot(ids, V)
        h = jnp.tanh(h @ W + x @ W[:V, :] + jnp.sum(x.T @ x) * W[:1] + ids[:, None] / V)
        return h, (h * x.sum(), ids + 1)

    W = jnp.asarray(np.random.default_rng(1).normal(size=(V, V)), jnp.float32)
    h, ids = jnp.ones((B, V)), jnp.array([0, 5, 2])
    ours = prepare_step(step, W, h, ids, V)(h, ids)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, step(W, h, ids))


def test_what_cannot_be_prepared_is_left_as_it_is():
    def calls_back(W, h, ids):
        x = jax.pure_callback(lambda ids: np.float32(ids), jnp.zeros(B, jnp.float32), ids)
        return jnp.tanh(h @ W + x[:, None]), x

    def has_effects(W, h, ids):
        jax.debug.callback(lambda: seen.append(1))
        return jnp.tanh(h @ W), ids

    seen = []
    W, h, ids = jnp.eye(H), jnp.ones((B, H)), jnp.array([0, 5, 2])
    for step in (calls_back, has_effects):
        ours = prepare_step(step, W, h, ids, V)(h, ids)
        np.testing.assert_allclose(ours[0], step(W, h, ids)[0])
    jax.effects_barrier()
    assert len(seen) >= 2
