"""What the engine makes of a step, and that odd steps keep their values and every gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.engine.plan import make_plan
from charrnn_core.engine.products import Group
from charrnn_core.engine.trace import trace
from charrnn_core.engine.unroll import choose, unroll
from tests.agreement import compare, float64, integers, normal, randomly

T, B, H, V = 7, 3, 5, 6


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
    compare(step, params, carry, xs, 2e-5)
    compare(step, params, carry, xs[:1], 2e-5)


def products_that_are_added_and_read_elsewhere(p, carry, x):
    """What is added to a product comes after it, and is a product by itself."""
    g, h = carry
    y = h @ p["W"]
    z = g @ p["V"]
    g = jnp.tanh(y + z)
    return (g, jnp.sin(z) + x * g), z


def gates_with_numbers_added(p, carry, x):
    g, h = carry
    i, f = jnp.split(h @ p["wide"] + 1.0 + p["rate"], 2, axis=-1)
    o = (g @ p["wide"] + jnp.sum(x))[..., 2 : 2 + H]
    g = jnp.tanh(i + g) * jax.nn.sigmoid(f)
    return (g, jnp.tanh(o)), i


def numbers_of_the_carry_added(p, carry, x):
    g, h = carry
    return (jnp.tanh(g @ p["W"] + jnp.max(h) + p["rate"]), jnp.tanh(h @ p["V"] + jnp.sum(g))), x


def one_number_per_row_added(p, carry, x):
    """Also to what is cut into gates, and itself a product."""
    g, h = carry
    level = jnp.mean(h, axis=1, keepdims=True)
    i, f = jnp.split(g @ p["wide"] + (g @ p["V"][:, :1] + level), 2, axis=-1)
    g = jnp.tanh(g @ p["W"] + level + i * jax.nn.sigmoid(f))
    return (g, jnp.tanh(h @ p["V"] + x[:, :1] + g[:1])), level


def wholes_in_products(p, carry, x):
    """Integers times an integer parameter, and what becomes of them."""
    g, h = carry
    order = jnp.argsort(g, axis=-1).astype(jnp.int32) @ p["whole"]
    return (jnp.tanh(g @ p["W"] + x), jnp.tanh(h @ p["V"] + 0.1 * g * order)), order


def weights_on_either_side(p, carry, x):
    g, h = carry
    g = jnp.tanh((p["W"].T @ g.T).T + h @ p["W"].T + jnp.einsum("ij,bj->bi", p["V"], x))
    return (g, jnp.tanh(h @ p["V"][::-1] + h @ p["V"].T)), g @ p["W"][0]


def a_weight_made_of_the_input(p, carry, x):
    g, h = carry
    g = jnp.tanh(g @ (p["W"] * x[:1]) + h @ p["V"])
    return (g, jnp.tanh(jnp.einsum("bi,bj,bj->bi", g, h, x))), x @ p["V"]


def a_constant_larger_than_the_carry(p, carry, x):
    g, h = carry
    waves = jnp.mean(jnp.sin(g[:, :, None] * p["large"][None]), axis=2)
    return (jnp.tanh(waves + h @ p["W"]), jnp.tanh(g @ p["V"] + x)), waves


def leaves_that_change_places(p, carry, x):
    g, h = carry
    return (h, jnp.tanh(g @ p["W"] + x)), g


def leaves_that_become_the_same(p, carry, x):
    g, h = carry
    h = jnp.tanh(g @ p["W"] + h + x)
    return (h, h), h


def recomputed_inside(p, carry, x):
    g, h = carry
    g = jax.checkpoint(lambda g, h: jnp.tanh(g @ p["W"] + h))(g, h)
    h, _ = jax.lax.scan(lambda h, W: (jnp.tanh(h @ W + x), None), h, jnp.stack([p["W"], p["V"]]))
    return (g, jax.lax.cond(jnp.sum(g) > 0.01, lambda h: h @ p["V"], jnp.sin, h)), h


@pytest.mark.parametrize(
    "step",
    [
        products_that_are_added_and_read_elsewhere,
        gates_with_numbers_added,
        numbers_of_the_carry_added,
        one_number_per_row_added,
        wholes_in_products,
        weights_on_either_side,
        a_weight_made_of_the_input,
        a_constant_larger_than_the_carry,
        leaves_that_change_places,
        leaves_that_become_the_same,
        recomputed_inside,
    ],
    ids=lambda step: step.__name__,
)
def test_exact(step):
    with float64():
        params = {"W": normal(0, H, H), "V": normal(1, H, H), "wide": normal(2, H, 2 * H)}
        params |= {"large": normal(9, H, 90)}
        params |= {"rate": normal(3), "unused": normal(4, 2), "whole": integers(8, 5, H, H)}
        compare(step, params, (normal(5, B, H), normal(6, B, H)), normal(7, T, B, H), 1e-10)


@pytest.mark.parametrize("reads", [True, False])
def test_a_state_of_whole_numbers(reads):
    """Their products have no gradient to put off, whether anything reads the state or not."""
    params = {"W": normal(0, H, H), "moves": integers(1, 3, H, H)}

    def step(p, carry, x):
        h, state = carry
        state = state @ p["moves"]
        seen = (state % 7).astype(h.dtype) if reads else 1.0
        h = jnp.tanh(h @ p["W"] + 0.1 * seen + x)
        return (h, state), (h, state) if reads else h

    carry, xs = (normal(2, B, H), integers(3, 7, B, H)), normal(4, T, B, H)
    compare(step, params, carry, xs, 1e-5)
    compare(step, params, carry, xs, 1e-5, argnums=(2,))


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


@pytest.mark.parametrize("rows", [(), (1,), (B,)], ids=["no batch", "one row", "rows"])
def test_few_rows_and_few_steps(rows):
    params = {"W": normal(0, H, H), "U": normal(1, V, H)}

    def step(p, h, x):
        h = jnp.tanh((p["W"].T @ h.T).T + h @ p["W"] + x @ p["U"])
        return h, h

    for length in (1, 4):
        reset = jnp.arange(length) == 2
        xs = normal(3, length, *rows, V)
        compare(step, params, normal(2, *rows, H), xs, 1e-5, reset=reset, fresh=None)
