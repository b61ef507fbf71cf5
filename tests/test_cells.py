"""What every cell must do, over every registered cell and flax's own: the public kit."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from charrnn_core.cell import as_cell
from charrnn_core.errors import PluginError
from charrnn_core.network.network import Network
from charrnn_core.testing import checks, parametrize_checks

H, V = 5, 6

CELLS = "elman lstm gru mgu rhn mogrifier mlstm indrnn mingru minlstm rglru slstm".split()
FLAX = [
    f"flax:{name}:24"
    for name in (
        "SimpleCell", "GRUCell", "MGUCell", "LSTMCell", "OptimizedLSTMCell",
        "nnx.GRUCell", "nnx.LSTMCell", "nnx.OptimizedLSTMCell",
    )
]  # fmt: skip
FIXED = "flax:nnx.SimpleCell:24"
TASKS = ["learns-an-alternation", "copies-over-ten-steps"]
STACKED = ["stacked:elman:24,gru:16", {"use": "stacked:elman:24*2", "residual": True}]


def test_every_registered_cell_is_tested(registry):
    ours = {p.plugin.name for p in registry.providers if p.distribution == "charrnn"}
    assert {*CELLS, "flax", "stacked"} == ours & set(registry.names("cell"))


@parametrize_checks("cell", *CELLS, only=[name for name in checks("cell") if name not in TASKS])
def test_a_built_in_cell(check):
    check()


@parametrize_checks("cell", *FLAX, *STACKED, only=["carry-is-fixed", "two-halves"])
def test_flax_cells_and_stacks_in_short(check):
    check()


@pytest.mark.slow
@parametrize_checks("cell", *CELLS, only=TASKS)
def test_a_built_in_cell_learns(check):
    check()


@pytest.mark.slow
@parametrize_checks("cell", *FLAX, *STACKED)
def test_flax_cells_and_stacks(check):
    check()


@pytest.mark.slow
@parametrize_checks(
    "cell", FIXED, expected_failures={"bfloat16": "flax fixes its dtype to float32 by default"}
)
def test_a_flax_cell_of_one_dtype(check):
    check()


def test_a_carry_that_changes_is_refused():
    class Growing:
        def init(self, key, in_features):
            return {}

        def initial_carry(self, params, input_shape):
            return jnp.zeros((input_shape[0], 1))

        def step(self, params, carry, x):
            return jnp.concatenate([carry, carry], axis=1), x

    with pytest.raises(PluginError, match=r"carry float32\[2,2\].* got carry float32\[2,1\]"):
        Network(Growing(), symbols=V).init(jax.random.key(0))


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda: 3, "3"),
        (lambda: nn.Dense(H), "a Dense"),
        (lambda: nn.RNN(nn.GRUCell(H)), "a RNN"),
        (lambda: nnx.GRUCell(V, H, rngs=nnx.Rngs(0)), "a GRUCell"),
    ],
    ids=["a number", "linen's Dense", "linen's RNN", "an nnx cell, not its constructor"],
)
def test_what_is_no_cell_is_refused(make, what):
    with pytest.raises(PluginError) as caught:
        as_cell(make())
    message = f"a cell plugin returned {what}; expected a Cell with init, initial_carry and step, a"
    assert str(caught.value).startswith(message)


def test_a_cell_with_variables_besides_its_parameters_is_refused():
    class Counting(nn.RNNCellBase):
        features: int

        @nn.compact
        def __call__(self, carry, x):
            self.variable("counts", "steps", lambda: jnp.zeros(()))
            return carry, nn.Dense(self.features)(x)

    with pytest.raises(PluginError, match="has variables in counts"):
        as_cell(Counting(H)).init(jax.random.key(0), V)
