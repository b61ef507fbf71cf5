"""Layers that do not wait for each other get loops of their own, and nothing else changes."""

import jax
import jax.numpy as jnp
import pytest

from charrnn_core.engine.stages import cut_into_stages
from charrnn_core.engine.trace import trace
from tests.agreement import compare, float64, normal

T, B, H = 5, 3, 4


def weights(count):
    return {k: normal(i, H, H) for i, k in enumerate("ABCDE"[:count])}


def leaf(seed):
    return normal(seed, B, H)


def three_layers(p, carry, x):
    a, b, c = carry
    a = jnp.tanh(a @ p["A"] + x)
    b = jnp.tanh(b @ p["B"] + a @ p["D"])
    c = jnp.tanh(c @ p["C"] + b @ p["E"])
    return (a, b, c), c


def the_old_carry_of_another(p, carry, x):
    a, b = carry
    new_a = jnp.tanh(a @ p["A"] + x)
    b = jnp.tanh(b @ p["B"] + a @ p["C"])  # as it was before this step
    return (new_a, b), (a, b)


def both_ways(p, carry, x):
    a, b = carry
    new_a = jnp.tanh(a @ p["A"] + b @ p["B"] + x)
    return (new_a, jnp.tanh(b @ p["C"] + new_a)), new_a


def both_ways_over_a_third(p, carry, x):
    a, b, c = carry
    new_a = jnp.tanh(a @ p["A"] + c @ p["B"] + x)
    return (new_a, jnp.sin(a @ p["C"]), jnp.cos(b)), new_a


def elementwise_on_a_product(p, carry, x):
    """Nothing is multiplied with leaf b; what feeds it is a product of leaf a."""
    a, b = carry
    a = jnp.tanh(a @ p["A"] + x)
    gate = jax.nn.sigmoid(a @ p["B"])
    b = gate * b + (1 - gate) * x
    return (a, b), b


def elementwise_on_an_output(p, carry, x):
    a, b = carry
    a = jnp.tanh(a @ p["A"] + x)
    return (a, 0.9 * b + a), b @ p["B"]


def counters(p, carry, x):
    count, a, total = carry
    a = jnp.tanh(a @ p["A"] + x) * (1 + count % 3).astype(a.dtype)[:, None]
    return (count + 1, a, total + count), (a @ p["B"], count)


def a_carry_of_products(p, carry, x):
    """Leaves listed against the order they are needed in; one is read by two others."""
    last, middle, first = carry
    first = jnp.tanh(first @ p["A"] + x)
    middle = jnp.tanh(first @ p["B"] + middle)
    last = jnp.tanh(middle @ p["C"] + first @ p["D"] + 0.5 * last)
    return (last, middle, first), {"last": last, "old": carry[1], "product": first @ p["E"]}


def a_delayed_input(p, carry, x):
    before, a, b = carry
    a = jnp.tanh(a @ p["A"] + before)
    return (x, a, jnp.tanh(b @ p["B"] + a @ p["C"])), before


CASES = {
    three_layers: (5, 3, [(0,), (1,), (2,)]),
    the_old_carry_of_another: (3, 2, [(0,), (1,)]),
    both_ways: (3, 2, [(0, 1)]),
    both_ways_over_a_third: (3, 3, [(0, 1, 2)]),
    elementwise_on_a_product: (2, 2, [(0,), (1,)]),
    elementwise_on_an_output: (2, 2, [(0,), (1,)]),
    counters: (2, None, [(0, 1, 2)]),
    a_carry_of_products: (5, 3, [(2,), (1,), (0,)]),
    a_delayed_input: (3, 3, [(0, 1), (2,)]),
}


@pytest.mark.parametrize("step", CASES, ids=lambda step: step.__name__)
def test_the_cut_and_that_it_is_exact(step):
    count, leaves, expected = CASES[step]
    with float64():
        params, xs = weights(count), normal(9, T, B, H)
        carry = (jnp.arange(B), leaf(10), jnp.arange(B) * 2)
        if leaves is not None:
            carry = tuple(leaf(10 + i) for i in range(leaves))
        stages = cut_into_stages(trace(step, params, carry, xs[0]))
        assert [stage.carry for stage in stages] == expected
        reset = jnp.zeros((T, B), bool).at[2, 1].set(True)
        compare(step, params, carry, xs, 1e-10, reset=reset, fresh=carry)


def test_a_product_belongs_to_the_stage_of_what_is_multiplied():
    carry = tuple(normal(i, B, H) for i in range(3))
    params = {k: normal(i, H, H) for i, k in enumerate("ABCDE")}
    stages = cut_into_stages(trace(three_layers, params, carry, normal(9, B, H)))
    names = [[e.name for e in stage.traced.equations] for stage in stages]
    assert [row.count("dot_general") for row in names] == [2, 2, 1]
    assert [len(stage.given) for stage in stages] == [0, 1, 1]
