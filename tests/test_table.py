"""What a step makes of a symbol is looked up: the same values and gradients, whatever V is."""

import jax
import jax.numpy as jnp
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.registry.spec import Ref
from tests.agreement import compare, float64, integers, normal, randomly

H = 5
SIZES = [(2, 3, 12), (4, 3, 6), (5, 4, 7), (3, 1, 4), (2, 9, 4)]
"""T, B, V: more symbols than inputs and fewer, batches that divide them and not, one, a larger."""


def embedded(p, h, ids):
    return recur(p, h, p["E"][ids])


def one_hot(p, h, ids):
    return recur(p, h, jax.nn.one_hot(ids, len(p["E"]), dtype=h.dtype) @ p["E"])


def recur(p, h, x):
    h = jnp.tanh(h @ p["W"] + x @ p["U"])
    return h, h


def x_twice(p, h, ids):
    x = jnp.tanh(p["E"][ids])
    gate = jax.nn.sigmoid(h @ p["W"] + x @ p["U"])
    return gate * h + (1 - gate) * x, x @ p["V"] + h


def whole_numbers(p, h, ids):
    """Arithmetic on ids, comparisons of them, and ids as an output."""
    vowel = (ids % 3 == 0)[:, None]
    x = p["E"][(ids * 2 + 1) % len(p["E"])] * (1 + ids // 2).astype(h.dtype)[:, None]
    h = jnp.where(vowel, jnp.tanh(h @ p["W"] + x), h @ p["U"])
    return h, (h, ids + 1)


def keyed(p, h, ids):
    """A random draw for every symbol."""
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(7), i))(ids)
    noise = jax.vmap(lambda key: jax.random.normal(key, (H,), h.dtype))(keys)
    return recur(p, h, p["E"][ids] + noise)


def features_first(p, h, ids):
    """A cell that holds its state as columns inside."""
    h = jnp.tanh(p["W"] @ h.T + p["E"][ids].T).T
    return h, h


STEPS = [embedded, one_hot, x_twice, whole_numbers, keyed, features_first]


def check(step, T, B, V):
    with float64():
        shapes = {"E": (V, H), "W": (H, H), "U": (H, H), "V": (H, H)}
        params = {k: normal(i, *s) for i, (k, s) in enumerate(shapes.items())}
        ids, h = integers(5, V, T, B), normal(6, B, H)
        reset = jnp.zeros((T, B), bool).at[1, 0].set(True)
        compare(step, params, h, ids, 1e-10, symbols=V, reset=reset)


@pytest.mark.parametrize("T, B, V", SIZES)
@pytest.mark.parametrize("step", [embedded, one_hot], ids=lambda step: step.__name__)
def test_sizes(step, T, B, V):
    check(step, T, B, V)


@pytest.mark.parametrize("step", STEPS[2:], ids=lambda step: step.__name__)
def test_steps(step):
    check(step, 4, 3, 6)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_as_many_streams_as_features_and_symbols(step):
    """No axis can be told from another by its length."""
    check(step, 3, H, H)


def test_a_stack(registry):
    V, B = 6, 3
    cell = registry.build_cell(Ref("stacked", f"elman:{H}*2"), as_cell)
    params = {"E": jnp.zeros((V, 4)), "cell": cell.init(jax.random.key(0), 4)}
    params = randomly(params, 1, scale=0.2)  # rounding must not grow
    carry = randomly(cell.initial_carry(params["cell"], (B, 4)), 2)

    def step(params, carry, ids):
        return cell.step(params["cell"], carry, jnp.tanh(params["E"][ids]))

    for length in (1, 20):  # fewer and more inputs than symbols
        reset = jnp.zeros((length, B), bool).at[0, 1].set(True)
        compare(step, params, carry, integers(3, V, length, B), 1e-5, symbols=V, reset=reset)
