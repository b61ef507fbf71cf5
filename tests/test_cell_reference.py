"""Every cell of the literature against an independent NumPy loop in float64: values, gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.unroll import unroll
from charrnn_core.registry.spec import Ref
from tests.agreement import QUICKLY, float64

T, B, H, V = 3, 4, 5, 6


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def dense(p, name, x):
    y = x @ p[name]["kernel"]
    return y + p[name]["bias"] if "bias" in p[name] else y


def norm(p, name, x):
    """Layer normalisation, one row at a time."""
    rows = [(row - row.mean()) / np.sqrt(np.mean((row - row.mean()) ** 2) + 1e-6) for row in x]
    return np.stack(rows) * p[name]["scale"] + p[name].get("bias", 0)


def pre(p, name, h, x, layer_norm=False):
    """What a gate is a function of."""
    parts = (f"W_{name}", h), (f"U_{name}", x)
    if layer_norm:
        return sum(norm(p, f"norm_{part}", dense(p, part, value)) for part, value in parts)
    return sum(dense(p, part, value) for part, value in parts)


def g(a):
    return np.where(a >= 0, a + 0.5, sigmoid(a))


def lstm(p, carry, x, layer_norm=False, zoneout_c=0.0, zoneout_h=0.0):
    c, h = carry
    i, f, o = (sigmoid(pre(p, name, h, x, layer_norm)) for name in "ifo")
    new = f * c + i * np.tanh(pre(p, "g", h, x, layer_norm))
    out = o * np.tanh(norm(p, "norm_c", new) if layer_norm else new)
    h = zoneout_h * h + (1 - zoneout_h) * out
    return (zoneout_c * c + (1 - zoneout_c) * new, h), h


def gru(p, h, x, reset="after", layer_norm=False, zoneout=0.0):
    r, z = (sigmoid(pre(p, name, h, x, layer_norm)) for name in "rz")

    def product(name, value):
        return (
            norm(p, f"norm_{name}", dense(p, name, value)) if layer_norm else dense(p, name, value)
        )

    recurrent = r * product("W_n", h) if reset == "after" else product("W_n", r * h)
    n = np.tanh(recurrent + product("U_n", x))
    h = zoneout * h + (1 - zoneout) * (z * h + (1 - z) * n)
    return h, h


def mgu(p, h, x):
    f = sigmoid(pre(p, "f", h, x))
    h = (1 - f) * h + f * np.tanh(pre(p, "n", f * h, x))
    return h, h


def rhn(p, s, x, depth):
    for layer in range(1, depth + 1):
        n, t = dense(p, f"W_n{layer}", s), dense(p, f"W_t{layer}", s)
        if layer == 1:
            n, t = n + dense(p, "U_n1", x), t + dense(p, "U_t1", x)
        s = np.tanh(n) * sigmoid(t) + s * (1 - sigmoid(t))
    return s, s


def mogrifier(p, carry, x, rounds, rank=0):
    c, h = carry
    for i in range(1, rounds + 1):
        name, by = (f"Q{i}", h) if i % 2 else (f"R{i}", x)
        low = (
            dense(p, f"{name}_left", dense(p, f"{name}_right", by)) if rank else dense(p, name, by)
        )
        if i % 2:
            x = 2 * sigmoid(low) * x
        else:
            h = 2 * sigmoid(low) * h
    return lstm(p, (c, h), x)


def mlstm(p, carry, x):
    c, h = carry
    return lstm(p, (c, dense(p, "U_m", x) * dense(p, "W_m", h)), x)


def indrnn(p, h, x, activation="relu", steps=0):
    bound = 2 ** (1 / steps) if steps else 1
    u = np.clip(p["u"], -bound, bound)
    a = dense(p, "U", x) + u * h
    h = np.tanh(a) if activation == "tanh" else np.maximum(a, 0)
    return h, h


def mingru(p, h, x):
    z = sigmoid(dense(p, "U_z", x))
    h = (1 - z) * h + z * g(dense(p, "U_h", x))
    return h, h


def minlstm(p, h, x):
    f, i = sigmoid(dense(p, "U_f", x)), sigmoid(dense(p, "U_i", x))
    h = f / (f + i) * h + i / (f + i) * g(dense(p, "U_h", x))
    return h, h


def rglru(p, h, x):
    v = dense(p, "U", x)
    r, i = sigmoid(dense(p, "U_r", v)), sigmoid(dense(p, "U_i", v))
    a = sigmoid(p["L"]) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * (i * v)
    return h, h


def slstm(p, carry, x, forget="sigmoid"):
    """Without the stabiliser: c and n as they are, not divided by exp(m)."""
    c, n, m, h = carry
    c, n = c * np.exp(m), n * np.exp(m)
    i, a_f = np.exp(pre(p, "i", h, x)), pre(p, "f", h, x)
    f = sigmoid(a_f) if forget == "sigmoid" else np.exp(a_f)
    c, n = f * c + i * np.tanh(pre(p, "z", h, x)), f * n + i
    h = sigmoid(pre(p, "o", h, x)) * c / n
    m = np.maximum(np.log(f) + m, np.log(i))
    return (c * np.exp(-m), n * np.exp(-m), m, h), h


CASES = {
    "lstm": (lstm, {}),
    "lstm, more": (lstm, {"layer_norm": True, "zoneout_c": 0.3, "zoneout_h": 0.1}),
    "gru": (gru, {}),
    "gru, reset before": (gru, {"reset": "before"}),
    "gru, normalised": (gru, {"layer_norm": True}),
    "gru, more": (gru, {"layer_norm": True, "reset": "before", "zoneout": 0.3}),
    "mgu": (mgu, {}),
    "rhn": (rhn, {"depth": 2}),
    "mogrifier": (mogrifier, {"rounds": 3}),
    "mogrifier of low rank": (mogrifier, {"rounds": 2, "rank": 2}),
    "mlstm": (mlstm, {}),
    "indrnn": (indrnn, {}),
    "indrnn, tanh": (indrnn, {"activation": "tanh", "steps": 2}),
    "mingru": (mingru, {}),
    "minlstm": (minlstm, {}),
    "rglru": (rglru, {}),
    "slstm": (slstm, {}),
    "slstm, exponential": (slstm, {"forget": "exponential"}),
}


PARAMETERS = {
    "lstm": 4 * H * (H + V + 1),
    "lstm, more": 4 * H * (H + V + 3) + 2 * H,  # two scales and a bias; scale and bias for c
    "gru": 3 * H * (H + V + 1) + H,  # n has a bias for each of its products
    "gru, reset before": 3 * H * (H + V + 1),
    "gru, normalised": 3 * H * (H + V + 3) + H,
    "gru, more": 3 * H * (H + V + 3),
    "mgu": 2 * H * (H + V + 1),
    "rhn": 2 * H * (H + V + 1) + 2 * H * (H + 1),  # the second layer does not read x
    "mogrifier": 4 * H * (H + V + 1) + 3 * H * V,
    "mogrifier of low rank": 4 * H * (H + V + 1) + 2 * 2 * (H + V),
    "mlstm": 4 * H * (H + V + 1) + H * (H + V),
    "indrnn": H * (V + 2),
    "indrnn, tanh": H * (V + 2),
    "mingru": 2 * H * (V + 1),
    "minlstm": 3 * H * (V + 1),
    "rglru": H * V + 2 * H * (H + 1) + H,
    "slstm": 4 * H * (H + V + 1),
    "slstm, exponential": 4 * H * (H + V + 1),
}
"""How many there are by the equation: the references read any bias that they find."""


def build(registry, case):
    reference, options = CASES[case]
    return registry.build_cell(Ref(reference.__name__, str(H), options), as_cell)


def random(tree, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) * 0.5, tree)


def weigh(leaves):
    """A number that depends on every element."""
    rng = np.random.default_rng(7)
    return sum((leaf * rng.normal(size=leaf.shape)).sum() for leaf in leaves)


def numeric_gradients(function, leaves, step=1e-6):
    gradients = []
    for i, leaf in enumerate(leaves):
        gradient = np.zeros(leaf.shape)
        for place in np.ndindex(*leaf.shape):
            sides = []
            for sign in (1, -1):
                moved = [other.copy() for other in leaves]
                moved[i][place] += sign * step
                sides.append(function(moved))
            gradient[place] = (sides[0] - sides[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


@pytest.mark.parametrize("case", CASES)
def test_number_of_parameters(registry, case):
    shapes = jax.eval_shape(lambda: build(registry, case).init(jax.random.key(0), V))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAMETERS[case]


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(registry, case):
    reference, options = CASES[case]
    reference = partial(reference, **options)
    with float64():
        cell = build(registry, case)
        shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), V))
        params = random(shapes, 1)
        carry = random(jax.eval_shape(lambda: cell.initial_carry(params, (B, V))), 2)
        if "slstm" in case:
            carry = (carry[0], np.abs(carry[1]) + 0.5, *carry[2:])  # n is positive
        xs = np.random.default_rng(3).normal(size=(T, B, V)) * 0.5

        def ours(params, carry, xs):
            results = unroll(cell.step, params, carry, xs, mode="engine")
            return weigh(jax.tree.leaves(results)), results

        run = jax.jit(
            jax.value_and_grad(ours, argnums=(0, 1, 2), has_aux=True), compiler_options=QUICKLY
        )
        (_, got), gradients = run(*jax.tree.map(jnp.asarray, (params, carry, xs)))

    def theirs(params, carry, xs):
        outputs = []
        for x in xs:
            carry, y = reference(params, carry, x)
            outputs.append(y)
        return carry, np.stack(outputs)

    leaves, structure = jax.tree.flatten((params, carry, xs))
    for one, other in zip(
        jax.tree.leaves(got), jax.tree.leaves(theirs(params, carry, xs)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    numeric = numeric_gradients(
        lambda leaves: weigh(jax.tree.leaves(theirs(*jax.tree.unflatten(structure, leaves)))),
        leaves,
    )
    for (path, one), other in zip(
        jax.tree_util.tree_leaves_with_path(gradients), numeric, strict=True
    ):
        where = jax.tree_util.keystr(path)
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8, err_msg=where)


SATURATED = [*sorted({f.__name__ for f, _ in CASES.values()}), "lstm, more", "slstm, exponential"]


@pytest.mark.parametrize("case", SATURATED)
def test_saturating_inputs_stay_finite(registry, case):
    """Pre-activations in the thousands, as after a bad update: no overflow, no 0/0, no inf * 0."""
    cell = build(registry, case)
    params = jax.tree.map(lambda leaf: 30 * leaf, cell.init(jax.random.key(0), V))
    params = params | ({"L": params["L"] / 30} if "L" in params else {})
    carry = cell.initial_carry(params, (B, V))
    xs = jnp.asarray(np.random.default_rng(4).normal(size=(T, B, V)) * 300, jnp.float32)

    def total(params, xs):
        end, ys = unroll(cell.step, params, carry, xs, mode="engine")
        return jnp.sum(ys), (end, ys)

    run = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    (_, results), gradients = jax.jit(run, compiler_options=QUICKLY)(params, xs)
    for path, leaf in jax.tree_util.tree_leaves_with_path((results, gradients)):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


def test_every_cell_of_the_literature_has_a_reference(registry):
    ours = {p.plugin.name for p in registry.providers if p.distribution == "charrnn"}
    elsewhere = {"elman", "stacked", "flax"}  # test_reference.py; flax tests its own
    assert {reference.__name__ for reference, _ in CASES.values()} == (
        ours & set(registry.names("cell")) - elsewhere
    )
