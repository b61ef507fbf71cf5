"""What the papers say of their cells at the limits; noise; what the engine makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.unroll import unroll
from charrnn_core.network.explain import explain
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref

B, H, V = 4, 5, 6
HUGE = 100.0


def build(registry, name, **options):
    return registry.build_cell(Ref(name, str(H), options), as_cell)


def setting(registry, name, **options):
    """A cell, its parameters, a carry and an input, all random."""
    cell = build(registry, name, **options)
    params = fill(cell.init(jax.random.key(0), V), 1)
    carry = fill(cell.initial_carry(params, (B, V)), 2)
    return cell, params, carry, fill(jnp.zeros((B, V)), 3)


def fill(tree, seed, scale=0.5):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * scale, jnp.float32), tree
    )


def biased(params, **biases):
    """The parameters with these biases instead."""
    changed = {
        name: params[name] | {"bias": jnp.full_like(params[name]["bias"], bias)}
        for name, bias in biases.items()
    }
    return params | changed


def close(one, other, tolerance=1e-5):
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def differs(one, other):
    return float(jnp.abs(one - other).max()) > 1e-3


def test_an_lstm_with_an_open_forget_gate_and_a_closed_input_gate_keeps_its_memory(registry):
    cell, params, (c, h), x = setting(registry, "lstm")
    kept, y = cell.step(biased(params, W_f=HUGE, W_i=-HUGE), (c, h), x)
    close(kept[0], c)
    assert differs(y, h)
    assert differs(cell.step(params, (c, h), x)[0][0], c)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_gru_copies_at_z_1_and_forgets_at_z_0_and_r_0(registry, reset):
    cell, params, h, x = setting(registry, "gru", reset=reset)
    close(cell.step(biased(params, W_z=HUGE), h, x)[1], h)
    forgetful = biased(params, W_z=-HUGE, W_r=-HUGE)
    close(cell.step(forgetful, h, x)[1], cell.step(forgetful, 2 * h, x)[1])
    assert differs(cell.step(params, h, x)[1], cell.step(params, 2 * h, x)[1])


def test_an_mgu_copies_at_f_0(registry):
    cell, params, h, x = setting(registry, "mgu")
    close(cell.step(biased(params, W_f=-HUGE), h, x)[1], h)


def test_a_highway_layer_copies_at_t_0_and_is_an_elman_network_at_t_1(registry):
    cell, params, h, x = setting(registry, "rhn", depth=1)
    close(cell.step(biased(params, W_t1=-HUGE), h, x)[1], h)
    elman = build(registry, "elman")
    same = {"W": params["W_n1"], "U": params["U_n1"]}
    close(cell.step(biased(params, W_t1=HUGE), h, x)[1], elman.step(same, h, x)[1])


def test_a_mogrifier_of_no_rounds_is_an_lstm(registry):
    cell, params, carry, x = setting(registry, "mogrifier", rounds=0)
    lstm = build(registry, "lstm")
    for one, other in zip(
        jax.tree.leaves(cell.step(params, carry, x)),
        jax.tree.leaves(lstm.step(params, carry, x)),
        strict=True,
    ):
        close(one, other)


def test_an_mlstm_that_reads_zeros_has_no_recurrence_but_its_memory(registry):
    cell, params, (c, h), x = setting(registry, "mlstm")
    close(cell.step(params, (c, h), 0 * x)[1], cell.step(params, (c, 2 * h), 0 * x)[1])
    assert differs(cell.step(params, (c, h), x)[1], cell.step(params, (c, 2 * h), x)[1])


def test_an_indrnn_with_u_0_is_feed_forward(registry):
    cell, params, h, x = setting(registry, "indrnn")
    still = params | {"u": jnp.zeros(H)}
    close(cell.step(still, h, x)[1], cell.step(still, 2 * h, x)[1])
    assert differs(cell.step(params, h, x)[1], cell.step(params, 2 * h, x)[1])


@pytest.mark.parametrize("options, bound", [({}, 1.0), ({"steps": 4}, 2 ** (1 / 4))])
def test_an_indrnn_bounds_u_where_it_is_used_and_u_can_return(registry, options, bound):
    cell, params, h, x = setting(registry, "indrnn", **options)
    h, U = jnp.abs(h), {"kernel": params["U"]["kernel"], "bias": jnp.full(H, 9.0)}

    def output(u):
        return cell.step({"U": U, "u": jnp.full(H, u)}, h, x)[1]

    close(output(9.0), output(bound))
    close(output(-9.0), output(-bound))
    close(jax.grad(lambda u: output(u).sum())(9.0), h.sum())


def test_an_indrnn_does_not_grow_over_a_long_text(registry):
    """Its state is passed on from window to window: with any u above 1 it overflows in the end."""
    cell = build(registry, "indrnn")
    params = {"U": {"kernel": jnp.zeros((V, H)), "bias": jnp.zeros(H)}, "u": jnp.full(H, 9.0)}
    end, _ = unroll(cell.step, params, jnp.ones((B, H)), jnp.zeros((10_000, B, V)))
    close(end, jnp.ones((B, H)))


def test_a_mingru_forgets_at_z_1_and_copies_at_z_0(registry):
    cell, params, h, x = setting(registry, "mingru")
    forgetful = biased(params, U_z=HUGE)
    close(cell.step(forgetful, h, x)[1], cell.step(forgetful, 2 * h, x)[1])
    close(cell.step(biased(params, U_z=-HUGE), h, x)[1], h)


def test_a_minlstm_copies_when_its_input_gate_is_closed_and_shares_evenly_at_a_tie(registry):
    cell, params, h, x = setting(registry, "minlstm")
    close(cell.step(biased(params, U_i=-HUGE), h, x)[1], h)
    silent = params | {name: {k: 0 * v for k, v in params[name].items()} for name in ("U_f", "U_i")}
    closed = biased(silent, U_f=-1000.0, U_i=-1000.0)  # both gates are 0 in floating point
    close(cell.step(closed, h, x)[1], cell.step(silent, h, x)[1])


def test_an_rglru_copies_at_r_0_and_keeps_the_variance_of_what_it_reads(registry):
    cell, params, h, x = setting(registry, "rglru")
    close(cell.step(biased(params, U_r=-HUGE), h, x)[1], h)
    open_gate = biased(params, U_i=HUGE)
    v = x @ params["U"]["kernel"]
    plain = open_gate | {"U_r": jax.tree.map(jnp.zeros_like, params["U_r"])}
    a = cell.step(plain, jnp.ones((B, H)), 0 * x)[1]
    close(cell.step(plain, 0 * h, x)[1], jnp.sqrt(1 - a**2) * v)


def test_an_slstm_does_not_see_how_its_memory_is_scaled(registry):
    for forget in ("sigmoid", "exponential"):
        cell, params, (c, n, m, h), x = setting(registry, "slstm", forget=forget)
        n = jnp.abs(n) + 0.5
        plain = cell.step(params, (c, n, m, h), x)[1]
        scaled = cell.step(params, (c * jnp.exp(-3.0), n * jnp.exp(-3.0), m + 3.0, h), x)[1]
        close(scaled, plain)


def test_an_slstm_counts_what_it_has_taken_in(registry):
    cell, params, _, x = setting(registry, "slstm")
    carry = cell.initial_carry(params, (B, V))
    for scale in (1.0, -300.0, 300.0):  # input gates from exp(-hundreds) to exp(hundreds)
        carry, y = cell.step(params, carry, scale * x)
        assert np.all(np.asarray(carry[1]) >= 1 - 1e-6)
        assert np.all(np.abs(y) <= 1 + 1e-6)


def test_how_parameters_start(registry):
    def start(name, features=H, **options):
        cell = registry.build_cell(Ref(name, str(features), options), as_cell)
        return jax.tree.map(np.asarray, cell.init(jax.random.key(0), V))

    for name in ("lstm", "mogrifier", "mlstm", "slstm"):
        assert set(start(name)["W_f"]["bias"]) == {1.0}
        assert not start(name)["W_i"]["bias"].any()
    assert set(start("lstm", forget_bias=3.0, layer_norm=True)["norm_W_f"]["bias"]) == {3.0}
    assert set(start("minlstm", forget_bias=2.0)["U_f"]["bias"]) == {2.0}
    assert set(start("rhn")["W_t3"]["bias"]) == {-2.0}
    for name, weight in {
        "lstm": "W_g",
        "gru": "W_n",
        "mgu": "W_n",
        "rhn": "W_n2",
        "mlstm": "W_m",
    }.items():
        W = start(name)[weight]["kernel"]
        close(W @ W.T, np.eye(H))
    u = start("indrnn", 64, steps=2)["u"]
    assert 0 <= u.min() < 0.2 and 1.1 < u.max() <= 2**0.5
    a = jax.nn.sigmoid(start("rglru", 64)["L"])
    assert 0.9 <= a.min() < 0.92 and 0.98 < a.max() <= 0.999


NOISE = {"step": jax.random.key(5), "window": jax.random.key(6)}


def train(cell, params, carry, x, **keys):
    return cell.module.apply({"params": params}, carry, x, rngs=NOISE | keys)


def test_zoneout_at_rate_1_copies(registry):
    cell, params, h, x = setting(registry, "gru", zoneout=1.0)
    close(cell.step(params, h, x)[1], h)
    close(train(cell, params, h, x)[1], h)
    cell, params, carry, x = setting(registry, "lstm", zoneout_c=1.0)
    close(train(cell, params, carry, x)[0][0], carry[0])
    assert differs(train(cell, params, carry, x)[0][1], carry[1])
    cell, params, carry, x = setting(registry, "lstm", zoneout_h=1.0)
    close(train(cell, params, carry, x)[1], carry[1])
    assert differs(train(cell, params, carry, x)[0][0], carry[0])


@pytest.mark.parametrize(
    "name, options", [("gru", {"zoneout": 0.3}), ("lstm", {"zoneout_c": 0.3, "zoneout_h": 0.6})]
)
def test_zoneout_keeps_elements_as_often_as_it_says(registry, name, options):
    cell, params, carry, x = setting(registry, name, **options)
    plain = build(registry, name)
    new = jax.tree.leaves(plain.step(params, carry, x)[0])
    old, rates = jax.tree.leaves(carry), list(options.values())
    draw = jax.vmap(lambda key: train(cell, params, carry, x, step=key)[0])
    drawn = jax.tree.leaves(draw(jax.random.split(jax.random.key(1), 200)))
    expected = jax.tree.leaves(cell.step(params, carry, x)[0])
    for one, before, after, rate, mean in zip(drawn, old, new, rates, expected, strict=True):
        kept = np.isclose(one, before[None], atol=1e-6)
        assert np.all(kept | np.isclose(one, after[None], atol=1e-6))
        assert abs(kept.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / kept.size)
        close(mean, rate * before + (1 - rate) * after)


@pytest.mark.parametrize("name", ["lstm", "gru", "rhn", "mogrifier", "mlstm"])
def test_dropout_hides_the_same_units_throughout_a_window(registry, name):
    options = {"depth": 1} if name == "rhn" else {}
    cell, params, carry, x = setting(registry, name, dropout=0.5, **options)
    row = jax.tree.map(lambda leaf: leaf[:1], carry)

    def hidden(**keys):
        """Which units of h no other unit of the next h depends on."""

        def output(h):
            whole = (row[0], h) if isinstance(row, tuple) else h
            if not keys:
                return cell.step(params, whole, x[:1])[1][0]
            return train(cell, params, whole, x[:1], **keys)[1][0]

        h = row[1] if isinstance(row, tuple) else row
        slopes = np.array(jax.jacobian(output)(h))[:, 0]
        np.fill_diagonal(slopes, 0)  # an element may be copied past the gates
        return np.abs(slopes).max(axis=0) == 0

    windows = [{"window": jax.random.key(i)} for i in range(8)]
    first = [hidden(**window) for window in windows]
    again = [hidden(**window, step=jax.random.key(9)) for window in windows]
    np.testing.assert_array_equal(first, again)
    assert 0.25 < np.mean(first) < 0.75
    assert not hidden().any()


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_layer_normalisation_ignores_the_scale_of_weights(registry, name):
    cell, params, carry, x = setting(registry, name, layer_norm=True)
    scaled = {
        key: {"kernel": 7 * value["kernel"]} if "kernel" in value else value
        for key, value in params.items()
    }
    close(cell.step(params, carry, x)[1], cell.step(scaled, carry, x)[1], 1e-3)


@pytest.mark.parametrize("name", ["indrnn", "mingru", "minlstm", "rglru"])
def test_no_product_stays_in_the_loop_of_an_elementwise_recurrence(registry, name):
    explained = explain(Network(build(registry, name), 90).choose(2, 64))
    (loop,) = explained["loops"]
    assert explained["engine"] and loop["deferred"] == []
    assert loop["inside"] < 10 < loop["before"] + loop["once"]


def test_the_gates_share_one_product_per_step(registry):
    for name, merged in {"lstm": [4], "gru": [3], "slstm": [4], "mlstm": [1, 4]}.items():
        (loop,) = explain(Network(build(registry, name), 90).choose(2, 64))["loops"]
        assert [item["merged"] for item in loop["deferred"]] == merged, name
