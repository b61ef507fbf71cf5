"""The cells of flax by name: ``flax:NAME:FEATURES``."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError, UnknownNameError
from charrnn_core.registry.spec import Ref

B, V = 4, 6
CLASSES = [
    name
    for name in "SimpleCell GRUCell LSTMCell OptimizedLSTMCell MGUCell".split()
    if hasattr(nn, name)
]


def build(registry, spec, **options):
    return registry.build_cell(Ref.parse(spec).with_options(options), as_cell)


def output(cell):
    """What a first step gives, as a shape."""

    def first(key):
        params = cell.init(key, V)
        return cell.step(params, cell.initial_carry(params, (B, V)), jnp.ones((B, V)))[1]

    return jax.eval_shape(first, jax.random.key(0))


@pytest.mark.parametrize("name", [*CLASSES, "nnx.GRUCell", "nnx.LSTMCell", "nnx.SimpleCell"])
def test_a_cell_has_the_width_of_its_spec(registry, name):
    assert output(build(registry, f"flax:{name}:5")).shape == (B, 5)


def test_the_width_may_be_an_option_or_left_out(registry):
    for ref, width in {
        Ref("flax", "GRUCell"): 256,
        Ref("flax", "GRUCell", {"features": "7"}): 7,
        Ref("flax", None, {"cell": "nnx.GRUCell:9"}): 9,
    }.items():
        resolved = registry.resolve("cell", ref)
        assert resolved.options["features"] == width
        assert registry.resolve("cell", resolved) == resolved
        assert ":" not in resolved.options["cell"]


def test_they_stack(registry):
    cell = build(registry, "stacked:flax:GRUCell:5*2,flax:nnx.LSTMCell:3")
    assert len(cell.layers) == 3 and output(cell).shape == (B, 3)


@pytest.mark.parametrize(
    "spec, options, error, message",
    [
        ("flax:GRUcell", {}, UnknownNameError, "no flax cell named 'GRUcell' .did you mean 'GRUC"),
        ("flax:nnx.MGU", {}, UnknownNameError, "no flax cell named 'nnx.MGU'"),
        ("flax:Dense:4", {}, UnknownNameError, "no flax cell named 'Dense'"),
        ("flax:RNNCellBase:4", {}, UnknownNameError, "no flax cell named 'RNNCellBase'"),
        (
            "flax:ConvLSTMCell:4",
            {},
            OptionError,
            "besides its width it requires kernel_size; expected",
        ),
        ("flax:GRUCell:many", {}, OptionError, "'features' of cell 'flax' is 'many'"),
        ("flax:GRUCell:0", {}, OptionError, "'features' of cell 'flax' is 0; expected a value >="),
        ("flax:GRUCell:4", {"features": 5}, OptionError, "features is given twice, as '4'"),
        ("flax", {}, OptionError, "cell 'flax' needs the option 'cell'"),
    ],
)
def test_what_does_not_fit_is_refused(registry, spec, options, error, message):
    with pytest.raises(error, match=message):
        build(registry, spec, **options)
