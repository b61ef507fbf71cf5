"""The engine equals the plain scan for every cell there is: registered, flax's, the example's."""

import importlib.util
import inspect
import sys
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn_stacked.cell import StackedCell
from flax import nnx

from charrnn_core.cell import as_cell
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from tests.agreement import compare, float64, randomly

T, B, H, V = 7, 3, 5, 6
EXAMPLE = Path(__file__).parent.parent / "examples" / "charrnn-irnn" / "charrnn_irnn" / "cell.py"
REGISTRY = Registry.installed()


def registered(text):
    return REGISTRY.build_cell(Ref.parse(text), as_cell)


def of_flax(module):
    """The RNN cell classes of a module of flax."""
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass)]
    return [c for c in classes if issubclass(c, module.RNNCellBase) and c != module.RNNCellBase]


def linen(cls):
    return as_cell(cls(H))


def of_nnx(cls):
    """It computes in its own dtype, whatever that of its parameters: the widest there is."""

    def make(in_features, rngs):
        return cls(in_features, H, dtype=jnp.result_type(float), rngs=rngs)

    return as_cell(make)


def irnn():
    spec = importlib.util.spec_from_file_location("irnn_example", EXAMPLE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return as_cell(module.IRNNCell(H))


class ConvLSTM:
    """Flax's cell whose carry is an image ``[B,5,4]``; it reads images ``[B,5,2]``."""

    module = nn.ConvLSTMCell(features=4, kernel_size=(3,))

    def init(self, key, in_features):
        return self.module.init(key, self.initial_carry(None, (1, in_features)), self.image(1))

    def initial_carry(self, params, input_shape):
        return self.module.initialize_carry(jax.random.key(0), (input_shape[0], 5, 2))

    def step(self, params, carry, x):
        return self.module.apply(params, carry, x)

    def image(self, *leading):
        return jnp.zeros((*leading, 5, 2))


ARGUMENTS = {"stacked": f"elman:{H},elman:4", "flax": f"GRUCell:{H}"}
SPECIAL = {nn.ConvLSTMCell: ConvLSTM}
CELLS = {
    **{
        f"registered {name}": partial(registered, f"{name}:{ARGUMENTS.get(name, H)}")
        for name in REGISTRY.names("cell")
    },
    **{f"linen {c.__name__}": SPECIAL.get(c, partial(linen, c)) for c in of_flax(nn)},
    **{f"nnx {c.__name__}": partial(of_nnx, c) for c in of_flax(nnx)},
    "example irnn": irnn,
    "mixed stack": lambda: StackedCell(
        (linen(nn.GRUCell), of_nnx(nnx.OptimizedLSTMCell), irnn(), linen(nn.MGUCell)), residual=True
    ),
}


def compare_cell(cell, tolerance, dtype, with_reset):
    params = randomly(cell.init(jax.random.key(0), V), 1, dtype)
    carry = randomly(cell.initial_carry(params, (B, V)), 2, dtype)
    empty = cell.image(T, B) if isinstance(cell, ConvLSTM) else jnp.zeros((T, B, V))
    options = {}
    if with_reset:
        reset = jnp.asarray(np.random.default_rng(4).random((T, B)) < 0.3)
        options = {"reset": reset, "fresh": randomly(carry, 5, dtype)}
    compare(cell.step, params, carry, randomly(empty, 3, dtype), tolerance, **options)


@pytest.mark.parametrize("name", CELLS)
def test_float32(name):
    compare_cell(CELLS[name](), 1e-5, np.float32, with_reset=False)


@pytest.mark.parametrize("name", CELLS)
def test_float64_with_resets(name):
    with float64():
        compare_cell(CELLS[name](), 1e-10, np.float64, with_reset=True)


def test_the_classes_of_flax_are_found():
    assert len(of_flax(nn)) >= 6 and len(of_flax(nnx)) >= 4
