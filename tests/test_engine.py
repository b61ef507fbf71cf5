"""The engine equals the plain scan: values and every gradient, for cells and for odd steps."""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.cell import as_cell
from charrnn_core.plan import make_plan
from charrnn_core.products import Group
from charrnn_core.spec import Ref
from charrnn_core.trace import trace
from charrnn_core.unroll import choose, unroll

T, B, H, V = 7, 3, 5, 6

CELLS = {
    "elman": Ref("elman", str(H)),
    "stacked": Ref("stacked", f"elman:{H},elman:4,elman:{H}", {"residual": True}),
    **{
        f"linen {name}": lambda name=name: getattr(nn, name)(H)
        for name in ("SimpleCell", "GRUCell", "MGUCell", "LSTMCell", "OptimizedLSTMCell")
    },
    **{
        f"nnx {name}": lambda name=name: lambda n, rngs: getattr(nnx, name)(n, H, rngs=rngs)
        for name in ("SimpleCell", "GRUCell", "LSTMCell", "OptimizedLSTMCell")
    },
}


@pytest.fixture(params=CELLS, ids=str)
def cell(request, registry):
    made = CELLS[request.param]
    return registry.build_cell(made, as_cell) if isinstance(made, Ref) else as_cell(made())


def randomly(tree, seed: int, dtype=np.float32):
    """The tree with every inexact leaf random."""
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        return jnp.asarray(rng.normal(size=leaf.shape) * 0.7, dtype)

    return jax.tree.map(fill, tree)


def compare(step, params, carry, xs, tolerance, argnums=(0, 1, 2), **options):
    """Values and gradients with respect to parameters, carry and inputs, engine against scan."""

    def outcome(params, carry, xs, mode):
        end, ys = unroll(step, params, carry, xs, mode=mode, **options)
        total = jnp.float32(0)
        for i, leaf in enumerate(jax.tree.leaves((end, ys))):
            weights = np.random.default_rng(i).normal(size=leaf.shape)
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                total += jnp.sum(leaf * jnp.asarray(weights, leaf.dtype)).astype(total.dtype)
        return total, (end, ys)

    def both(mode):
        function = jax.value_and_grad(outcome, argnums=argnums, has_aux=True)
        return jax.jit(function, static_argnums=3)(params, carry, xs, mode)

    expected, got = both("scan"), both("engine")
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        scale = max(1e-30, float(np.max(np.abs(np.asarray(other, np.float64)), initial=0)))
        error = np.max(
            np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)), initial=0
        )
        assert error <= tolerance * max(scale, 1e-3), error / scale


@pytest.mark.parametrize("with_reset", [False, True])
def test_cells_in_float32(cell, with_reset):
    params = randomly(cell.init(jax.random.key(0), V), 1)
    carry = randomly(cell.initial_carry(params, (B, V)), 2)
    xs = randomly(jnp.zeros((T, B, V)), 3)
    options = {}
    if with_reset:
        reset = jnp.asarray(np.random.default_rng(4).random((T, B)) < 0.3)
        options = {"reset": reset, "fresh": lambda p: cell.initial_carry(p, (B, V))}
    compare(cell.step, params, carry, xs, 1e-5, **options)


@pytest.mark.parametrize("name", ["elman", "stacked", "linen GRUCell", "linen LSTMCell"])
def test_cells_in_float64(registry, name):
    made = CELLS[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        cell = registry.build_cell(made, as_cell) if isinstance(made, Ref) else as_cell(made())
        params = randomly(cell.init(jax.random.key(0), V), 1, np.float64)
        carry = randomly(cell.initial_carry(params, (B, V)), 2, np.float64)
        xs = randomly(jnp.zeros((T, B, V)), 3, np.float64)
        compare(cell.step, params, carry, xs, 1e-10)


def test_ids_are_tabulated(registry):
    cell = registry.build_cell(Ref("stacked", f"elman:{H}*2"), as_cell)
    params = {"E": jnp.zeros((V, 4)), "cell": cell.init(jax.random.key(0), 4)}
    params = jax.tree.map(lambda leaf: 0.3 * leaf, randomly(params, 1))  # rounding must not grow
    carry = randomly(cell.initial_carry(params["cell"], (B, 4)), 2)
    seen = []

    def step(params, carry, ids):
        x = params["E"][ids]
        seen.append(ids.shape)
        return cell.step(params["cell"], carry, jnp.tanh(x))

    for length in (1, 2, 20):  # fewer and more inputs than symbols
        ids = jnp.asarray(np.random.default_rng(3).integers(V, size=(length, B)), jnp.int32)
        reset = jnp.zeros((length, B), bool).at[0, 1].set(True)
        compare(step, params, carry, ids, 1e-5, argnums=(0, 1), symbols=V, reset=reset)


def plan_of(step, params, carry, x):
    return make_plan(trace(step, params, carry, x))


def test_what_runs_where():
    """A readout in the step leaves the loop, three gates share one product, x is done before."""

    def step(p, h, x):
        r, z = (jax.nn.sigmoid(h @ p[k] + x @ p["U" + k] + p["b" + k]) for k in "rz")
        n = jnp.tanh(x @ p["Un"] + r * (h @ p["n"]))
        h = (1 - z) * n + z * h
        return h, h @ p["out"]

    shapes = {k: (H, H) for k in "rzn"} | {"U" + k: (V, H) for k in "rzn"}
    shapes |= {"br": (1, H), "bz": (1, H), "out": (H, V)}
    params = randomly({k: jnp.zeros(s) for k, s in shapes.items()}, 0)
    h, x = randomly(jnp.zeros((B, H)), 1), randomly(jnp.zeros((B, V)), 2)
    plan = plan_of(step, params, h, x)
    assert [len(group.sums) for group in plan.groups] == [3]
    assert {e.name for e in plan.before} == {"dot_general"} and len(plan.before) == 3
    assert [e.name for e in plan.after] == ["dot_general"]
    assert not [e for e in plan.loop if not isinstance(e, Group) and e.name == "dot_general"]
    compare(step, params, h, randomly(jnp.zeros((T, B, V)), 3), 1e-5)


def test_odd_steps():
    """Shared, batched and transposed weights, constants in the loop, integers, delays."""
    rng = np.random.default_rng(0)
    params = {
        "W": jnp.asarray(rng.normal(size=(H, H)), jnp.float32),
        "blocks": jnp.asarray(rng.normal(size=(2, 2, 2)), jnp.float32),
        "gain": jnp.asarray(rng.normal(size=(H,)), jnp.float32),
        "unused": jnp.ones(3),
        "rate": jnp.float32(0.3),
    }

    def step(p, carry, x):
        count, h, g, last = carry
        twice = jnp.tanh(h @ p["W"]) @ p["W"]  # shared
        turned = jax.lax.dot_general(p["W"], h, (((0,), (1,)), ((), ()))).T  # weight on the left
        blocks = jnp.einsum("bgi,gij->bgj", g.reshape(B, 2, 2), p["blocks"]).reshape(B, 4)
        gain = jnp.broadcast_to(p["gain"], h.shape)
        h = jnp.tanh(twice + 0.1 * turned + h * gain * p["rate"] + last)
        g = jax.nn.relu(blocks) + jnp.sin(g)
        return (count + 1, h, g, x), {"h": h, "count": count, "x": x, "one": p["gain"]}

    carry = (
        jnp.arange(B),
        jnp.asarray(rng.normal(size=(B, H)), jnp.float32),
        jnp.asarray(rng.normal(size=(B, 4)), jnp.float32),
        jnp.zeros((B, H)),
    )
    xs = jnp.asarray(rng.normal(size=(T, B, H)), jnp.float32)
    compare(
        step,
        params,
        carry,
        xs,
        2e-5,
        argnums=(0, 2),
    )
    compare(step, params, carry, xs[:1], 2e-5, argnums=(0, 2))


def test_control_flow_stays_in_the_loop():
    def step(p, h, x):
        power = jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] @ p["W"]), (0, x))[
            1
        ]
        return jnp.tanh(h @ p["W"] + jax.lax.stop_gradient(power)), h

    params, h = randomly({"W": jnp.zeros((H, H))}, 0), randomly(jnp.zeros((B, H)), 1)
    xs = randomly(jnp.zeros((T, B, H)), 2)
    assert not [e for e in plan_of(step, params, h, xs[0]).before if e.name == "while"]
    compare(step, params, h, xs, 1e-5, argnums=(0, 1))


def test_effects_fall_back_to_the_plain_scan():
    def step(p, h, x):
        jax.debug.callback(lambda: None)
        return jnp.tanh(h @ p + x), h

    W, h, xs = jnp.eye(H), jnp.ones((B, H)), jnp.ones((T, B, H))
    assert not choose(step, W, h, xs).engine
    assert unroll(step, W, h, xs)[1].shape == (T, B, H)


def test_what_cannot_be_batched_falls_back():
    def step(p, h, x):
        out = jax.ShapeDtypeStruct(x.shape, x.dtype)
        y = jax.pure_callback(lambda x: np.asarray(x) * 2, out, x)  # no vmap_method
        return jnp.tanh(h @ p + y), h

    W, h, xs = jnp.eye(H), jnp.ones((B, H)), jnp.ones((T, B, H))
    with pytest.raises(NotImplementedError):
        unroll(step, W, h, xs, mode="engine")
    expected = unroll(step, W, h, xs, mode="scan")[1]
    np.testing.assert_allclose(unroll(step, W, h, xs)[1], expected, rtol=1e-6)


def test_a_parameter_the_step_closes_over_gets_its_gradient():
    W, h, xs = randomly(jnp.zeros((H, H)), 0), jnp.ones((B, H)), randomly(jnp.zeros((T, B, H)), 1)

    def loss(W, mode):
        step = lambda p, h, x: (jnp.tanh(h @ W + x @ W),) * 2  # noqa: E731  # W is the point
        return jnp.sum(jnp.sin(unroll(step, None, h, xs, mode=mode)[1]))

    ours, expected = jax.grad(loss)(W, "engine"), jax.grad(loss)(W, "scan")
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_and_one_stream_without_a_batch():
    params = {"W": jnp.zeros((H, H)), "U": jnp.zeros((V, H))}
    step = lambda p, h, x: (jnp.tanh(p["W"].T @ h + x @ p["U"]),) * 2  # noqa: E731
    for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.05)):
        p, h = randomly(params, 0, dtype), randomly(jnp.zeros(H), 1, dtype)
        compare(step, p, h, randomly(jnp.zeros((T, V)), 2, dtype), tolerance)


def test_inside_vmap_checkpoint_and_a_second_derivative():
    params = randomly({"W": jnp.zeros((H, H))}, 0)
    step = lambda p, h, x: (jnp.tanh(h @ p["W"] + x),) * 2  # noqa: E731
    h, xs = randomly(jnp.zeros((B, H)), 1), randomly(jnp.zeros((2, T, B, H)), 2)

    def loss(p, xs, mode):
        return jnp.sum(jnp.cos(unroll(step, p, h, xs, mode=mode)[1]))

    def results(mode):
        over_two = jax.vmap(lambda xs: jax.grad(loss)(params, xs, mode)["W"])(xs)
        again = jax.grad(jax.checkpoint(loss, static_argnums=2))(params, xs[0], mode)["W"]
        bent = jax.grad(lambda p: jnp.sum(jax.grad(loss)(p, xs[0], mode)["W"] ** 2))(params)["W"]
        return over_two, again, bent

    for ours, expected in zip(results("engine"), results("scan"), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


@st.composite
def random_steps(draw):
    """A step of a few random equations over a carry of two leaves."""
    choices = st.sampled_from(["carry", "input", "either"])
    count = draw(st.integers(2, 6))
    numbers = st.integers(0, 5)
    kinds = st.sampled_from(["dot", "add", "mul", "tanh", "scale", "jit"])
    recipe = [
        (draw(kinds), draw(choices), draw(choices), draw(numbers), draw(numbers))
        for _ in range(count)
    ]
    return recipe, draw(st.integers(0, 20)), draw(st.integers(0, 20)), draw(st.integers(0, 20))


@settings(max_examples=25)
@given(random_steps())
def test_random_steps(drawn):
    recipe, *picks = drawn
    params = randomly({"Ws": jnp.zeros((6, H, H)), "bs": jnp.zeros((6, H))}, 0)
    params = jax.tree.map(lambda leaf: 0.5 * leaf, params)

    def step(p, carry, x):
        values = {"carry": [carry[0], carry[1]], "input": [x]}
        values["either"] = values["carry"] + values["input"]
        for kind, first, second, i, j in recipe:
            a, b = (values[k][n % len(values[k])] for k, n in ((first, i), (second, j)))
            new = {
                "dot": lambda a=a, i=i: a @ p["Ws"][i],
                "add": lambda a=a, b=b: a + b,
                "mul": lambda a=a, b=b: a * jnp.tanh(b),
                "tanh": lambda a=a: jnp.tanh(a),
                "scale": lambda a=a, i=i: a * jnp.broadcast_to(p["bs"][i], a.shape) + 0.1,
                "jit": lambda a=a, i=i: jax.jit(lambda a: jnp.sin(a @ p["Ws"][i]))(a),
            }[kind]()
            values["either"].append(new)
            values["carry"].append(new)
        chosen = [jnp.tanh(values["either"][n % len(values["either"])]) for n in picks]
        return (chosen[0], chosen[1]), chosen[2]

    carry = tuple(randomly((jnp.zeros((B, H)), jnp.zeros((B, H))), 1))
    with contextlib.suppress(FloatingPointError):
        compare(step, params, carry, randomly(jnp.zeros((4, B, H)), 2), 2e-5)
