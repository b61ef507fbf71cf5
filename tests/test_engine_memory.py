"""The engine needs no more memory than the plain scan: what XLA plans for a network's gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref

T, H, V = 32, 64, 64

CELLS = {
    "elman": lambda registry: registry.build_cell(Ref("elman", str(H)), as_cell),
    "GRU": lambda registry: as_cell(nn.GRUCell(H)),
    "LSTM": lambda registry: as_cell(nn.OptimizedLSTMCell(H)),
}


def temporary(cell, batch, mode):
    """Bytes besides arguments and results."""
    network = Network(cell, symbols=V, unroll_mode=mode)
    params = jax.eval_shape(network.init, jax.random.key(0))
    carry = jax.eval_shape(lambda params: network.initial_carry(params, batch), params)
    ids = jax.ShapeDtypeStruct((T, batch), jnp.int32)

    def nats(params, carry, ids):
        log_p = jax.nn.log_softmax(network.unroll(params, carry, ids)[0])
        return -jnp.mean(jnp.take_along_axis(log_p, ids[..., None], axis=-1))

    compiled = jax.jit(jax.grad(nats)).lower(params, carry, ids).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("name", CELLS)
def test_the_gradient_of_a_network(name, batch, registry):
    cell = CELLS[name](registry)
    assert temporary(cell, batch, "engine") <= 1.3 * temporary(cell, batch, "scan")
