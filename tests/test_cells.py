"""What every cell must do, over every registered cell and flax's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from charrnn_core.cell import Cell, as_cell
from charrnn_core.errors import PluginError
from charrnn_core.network import Network
from charrnn_core.spec import Ref
from charrnn_core.unroll import unroll

T, B, H, V = 3, 4, 5, 6

LITERATURE = "elman lstm gru mgu rhn mogrifier mlstm indrnn mingru minlstm rglru slstm".split()
MADE = {
    **{name: Ref(name, str(H)) for name in LITERATURE},
    "flax": Ref("flax", f"GRUCell:{H}"),
    "stacked": Ref("stacked", f"elman:{H},elman:7"),
    "residual": Ref("stacked", f"elman:{V}*2", {"residual": True}),
    "linen SimpleCell": lambda: nn.SimpleCell(H),
    "linen GRUCell": lambda: nn.GRUCell(H),
    "linen MGUCell": lambda: nn.MGUCell(H),
    "linen LSTMCell": lambda: nn.LSTMCell(H),
    "linen OptimizedLSTMCell": lambda: nn.OptimizedLSTMCell(H),
    "nnx SimpleCell": lambda: lambda n, rngs: nnx.SimpleCell(n, H, rngs=rngs),
    "nnx GRUCell": lambda: lambda n, rngs: nnx.GRUCell(n, H, rngs=rngs),
    "nnx LSTMCell": lambda: lambda n, rngs: nnx.LSTMCell(n, H, rngs=rngs),
}


@pytest.fixture(params=MADE, ids=str)
def cell(request, registry) -> Cell:
    made = MADE[request.param]
    if isinstance(made, Ref):
        return registry.build_cell(registry.resolve("cell", made), as_cell)
    return as_cell(made())


@pytest.fixture
def params(cell):
    return cell.init(jax.random.key(0), V)


def inputs(seed: int, steps: int = T) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (steps, B, V))


def test_every_registered_cell_is_tested(registry):
    tested = {made.use for made in MADE.values() if isinstance(made, Ref)}
    ours = {p.plugin.name for p in registry.providers if p.distribution == "charrnn"}
    assert tested == ours & set(registry.names("cell"))


def test_it_keeps_the_contract(cell, params):
    assert isinstance(cell, Cell)
    carry = cell.initial_carry(params, (B, V))
    assert all(leaf.shape[0] == B for leaf in jax.tree.leaves(carry))
    after, y = cell.step(params, carry, inputs(0)[0])
    assert y.shape[0] == B and y.ndim == 2
    assert jax.tree.structure(after) == jax.tree.structure(carry)
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(carry), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_initial_parameters_depend_on_the_key_alone(cell, params):
    again, other = cell.init(jax.random.key(0), V), cell.init(jax.random.key(1), V)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), params, again)
    assert all(jax.tree.leaves(same))
    assert not all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), params, other)))


def test_rows_are_independent_and_the_past_does_not_see_the_future(cell, params):
    carry, xs = cell.initial_carry(params, (B, V)), inputs(1)
    _, ys = unroll(cell.step, params, carry, xs)
    _, changed = unroll(cell.step, params, carry, xs.at[1, 2].add(1.0))
    differs = np.abs(np.asarray(ys - changed)).max(axis=2) > 1e-7
    assert differs.nonzero()[1].tolist() == [2] * int(differs.sum())
    assert not differs[0].any() and differs[1, 2]


def test_unrolling_equals_stepping(cell, params):
    carry, xs = cell.initial_carry(params, (B, V)), inputs(2)
    end, ys = unroll(cell.step, params, carry, xs)
    for t in range(T):
        carry, y = cell.step(params, carry, xs[t])
        np.testing.assert_allclose(ys[t], y, rtol=1e-5, atol=1e-6)
    for one, other in zip(jax.tree.leaves(end), jax.tree.leaves(carry), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_reset_equals_a_fresh_start(cell, params):
    xs = inputs(3, steps=6)
    fresh = cell.initial_carry(params, (B, V))
    warm, _ = unroll(cell.step, params, fresh, inputs(4))
    reset = jnp.zeros((6, B), bool).at[2, 1].set(True)
    _, ys = unroll(cell.step, params, warm, xs, reset=reset, fresh=fresh)
    _, expected = unroll(cell.step, params, fresh, xs[2:])
    np.testing.assert_allclose(ys[2:, 1], expected[:, 1], rtol=1e-5, atol=1e-6)
    _, untouched = unroll(cell.step, params, warm, xs)
    np.testing.assert_allclose(ys[:, 0], untouched[:, 0], rtol=1e-5, atol=1e-6)


def test_every_parameter_gets_a_gradient(cell):
    network = Network(cell, symbols=V)
    params = network.init(jax.random.key(0))
    ids = jax.random.randint(jax.random.key(1), (T + 3, B), 0, V)
    carry = network.initial_carry(params, B)
    weights = jax.random.normal(jax.random.key(2), (T + 3, B, V))
    grads = jax.grad(lambda p: jnp.sum(network.unroll(p, carry, ids)[0] * weights))(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(grads)[0]:
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_a_carry_that_changes_is_refused():
    class Growing:
        def init(self, key, in_features):
            return {}

        def initial_carry(self, params, input_shape):
            return jnp.zeros((input_shape[0], 1))

        def step(self, params, carry, x):
            return jnp.concatenate([carry, carry], axis=1), x

    with pytest.raises(PluginError, match=r"float32\[2, 1\].*float32\[2, 2\]"):
        Network(Growing(), symbols=V).init(jax.random.key(0))


def test_what_is_no_cell_is_refused():
    with pytest.raises(PluginError, match="expected a Cell with init, initial_carry and step"):
        as_cell(3)


def test_a_cell_with_variables_besides_its_parameters_is_refused():
    class Counting(nn.RNNCellBase):
        features: int

        @nn.compact
        def __call__(self, carry, x):
            self.variable("counts", "steps", lambda: jnp.zeros(()))
            return carry, nn.Dense(self.features)(x)

    with pytest.raises(PluginError, match="keeps variables in counts"):
        as_cell(Counting(H)).init(jax.random.key(0), V)
