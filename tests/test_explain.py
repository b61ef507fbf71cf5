"""What charrnn says of its unroll engine is what the engine does."""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.trace import trace
from charrnn_core.engine.unroll import Choice, choose
from charrnn_core.errors import OptionError
from charrnn_core.network.explain import explain, explain_cell, lines, summary
from charrnn_core.network.network import Network
from charrnn_core.registry.descriptors import CellPlugin
from charrnn_core.registry.hookspecs import hookimpl
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

T, B, H, V = 7, 3, 5, 6


def explained(cell, unroll_mode="auto", embedding=0):
    network = Network(as_cell(cell), V, embedding, unroll_mode=unroll_mode)
    return explain(network.choose(batch=B, window=T))


@dataclass(frozen=True)
class Around:
    """A GRU whose input goes through a function first."""

    function: object
    cell: object = field(default_factory=lambda: as_cell(nn.GRUCell(H)))

    def init(self, key, in_features):
        return self.cell.init(key, in_features)

    def initial_carry(self, params, input_shape):
        return self.cell.initial_carry(params, input_shape)

    def step(self, params, carry, x):
        return self.cell.step(params, carry, self.function(x))


def with_effect(x):
    jax.debug.callback(lambda: None)
    return x


def outside_jax(x):
    return jax.pure_callback(np.asarray, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


def test_an_elman_cell(registry):
    found = explain_cell(Ref.parse("elman:8"), registry)
    assert found == {
        "engine": True,
        "why": "it has products that do not need a loop",
        "loops": [
            {
                "once": 2,  # the bias as a row, the numbers 0 to V - 1
                "before": 5,  # three for one-hot, x U, its sum with b
                "inside": 3,  # h W, the sum, tanh
                "after": 0,
                "deferred": [{"product": "h[B,8] @ W[8,8]", "merged": 1}],
            }
        ],
    }
    assert lines(found) == [
        "unroll: engine (it has products that do not need a loop); 1 loop, 1 deferred product",
        "  equations  once  before  inside  after  deferred products",
        "  loop 1     2     5       3       0      h[B,8] @ W[8,8]",
    ]


def test_the_gates_of_a_gru_share_a_product():
    found = explained(nn.GRUCell(H))
    [loop] = found["loops"]
    assert loop["deferred"] == [{"product": "h[B,5] @ W[5,15]", "merged": 3}]
    assert summary(found).endswith("; 1 loop, 3 deferred products")
    assert lines(found)[-1].endswith("h[B,5] @ W[5,15] (3 merged)")


def test_a_stack_of_two_has_two_loops(registry):
    found = explain_cell(Ref.parse("stacked:elman:4,elman:5"), registry)
    first, second = found["loops"]
    assert [loop["deferred"][0]["product"] for loop in (first, second)] == [
        "h[B,4] @ W[4,4]",
        "h[B,5] @ W[5,5]",
    ]
    assert (first["after"], second["after"]) == (1, 0)  # what the second reads of the first
    assert summary(found).endswith("; 2 loops, 2 deferred products")
    assert [line.split()[:2] for line in lines(found)[2:]] == [["loop", "1"], ["loop", "2"]]


def test_several_products_have_a_line_each():
    def step(p, h, x):
        gate = jax.nn.sigmoid(h @ p["W"] + x)
        return (jnp.tanh((gate * h) @ p["V"] + x),) * 2

    params = {"W": jnp.eye(H), "V": jnp.eye(H)}
    found = explain(choose(step, params, jnp.ones((B, H)), jnp.ones((T, B, H))))
    *_, one, other = lines(found)
    column = one.index("h[B,5]")
    assert other == " " * column + "h[B,5] @ W[5,5]"


@pytest.mark.parametrize(
    "step",
    [
        lambda p, h, x: (jnp.tanh(h @ p["W"] + x @ p["W"] + p["b"] + h),) * 2,
        lambda p, h, x: (jnp.tanh(h @ p["W"] + (h * h) @ p["V"] + p["b"] + p["d"]),) * 2,
        lambda p, h, x: (jnp.sin(p["W"] @ h.T + p["b"].T).T + x, (h + x) @ p["V"]),
        lambda p, h, x: (h * x, h @ p["W"]),
    ],
)
def test_every_equation_is_counted_once(step):
    params = {name: jnp.eye(H) for name in "WV"} | {name: jnp.ones((B, H)) for name in "bd"}
    carry, x = jnp.ones((B, H)), jnp.ones((B, H))
    choice = choose(step, params, carry, x[None])
    [loop] = explain(choice)["loops"]
    counted = sum(loop[when] for when in ("once", "before", "inside", "after"))
    assert counted == len(trace(step, params, carry, x).equations)


def test_a_product_of_another_form():
    def step(p, h, x):
        return (jnp.tanh(jnp.einsum("bij,ijk->bik", h, p) + x),) * 2

    xs = jnp.ones((T, B, 2, H))
    [loop] = explain(choose(step, jnp.ones((2, H, H)), xs[0], xs))["loops"]
    [deferred] = loop["deferred"]
    assert deferred["product"] in (
        "dot_general(h[B,2,5], W[2,5,5])",
        "dot_general(W[2,5,5], h[B,2,5])",
    )


@pytest.mark.parametrize(
    "function, why",
    [
        (with_effect, "the step has side effects, which have to stay in order"),
        (outside_jax, "vmap is only supported for the pure_callback primitive when"),
    ],
)
def test_a_cell_that_falls_back_says_why(function, why):
    found = explained(Around(function))
    assert not found["engine"] and found["why"].startswith(why) and found["loops"] == []
    assert lines(found) == [f"unroll: scan ({found['why']})"]


def test_what_was_asked_for(registry):
    assert summary(explained(nn.GRUCell(H), "scan")) == "scan (asked for)"
    forced = summary(explained(nn.GRUCell(H), "engine"))
    assert forced == "engine (asked for); 1 loop, 3 deferred products"


def test_a_reason_is_one_line():
    assert explain(Choice(False, "first\n  second", ()))["why"] == "first second"


@pytest.mark.parametrize("embedding", [0, 4])
def test_it_is_what_training_does(registry, monkeypatch, embedding):
    """The plans of a training's unroll, recorded while it is traced, are those explained."""
    import charrnn_core.engine.unroll as engine

    cell = registry.build_cell(Ref.parse("stacked:elman:4,elman:5"), as_cell)
    network = Network(cell, V, embedding)
    found = explain(network.choose(batch=B, window=T))
    plans = []

    def make_plan(traced, original=engine.make_plan):
        plans.append(original(traced))
        return plans[-1]

    monkeypatch.setattr(engine, "make_plan", make_plan)
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, B)
    network.unroll(params, carry, jnp.zeros((T, B), jnp.int32))
    assert explain(Choice(True, found["why"], tuple(plans))) == found


def test_a_cell_that_needs_an_option(registry):
    found = explain_cell(Ref("stacked"), registry)
    assert found.keys() == {"unknown"}
    [line] = lines(found)
    assert line.startswith("unroll: unknown (cell 'stacked' needs the option 'layers': ")


def test_an_argument_that_does_not_fit_is_the_users_mistake(registry):
    with pytest.raises(OptionError, match="expected int"):
        explain_cell(Ref.parse("elman:big"), registry)


def test_a_cell_with_a_bug_is_told_not_raised():
    def buggy(x):
        raise RuntimeError("no\nluck")

    registry = Registry()
    plugin = CellPlugin(name="buggy", target=lambda: Around(buggy))
    module = SimpleNamespace(charrnn_cells=hookimpl(lambda: [plugin]))
    registry.add(lambda: module, "buggy")
    assert registry.faults == []
    told = explain_cell(Ref("buggy"), registry)["unknown"]
    assert re.match(
        r"tests/test_explain.py:\d+: a step of cell Around raises RuntimeError: no;", told
    )
