"""A scan that writes over what it read, and the loops that rely on it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.inplace import scan_in_place
from charrnn_core.engine.unroll import unroll
from charrnn_core.registry.spec import Ref

T, B, H = 7, 3, 5
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("reverse", [False, True])
def test_every_result_stands_where_its_step_read(reverse):
    stack, other, xs = (RNG.normal(size=(T, B)).astype(np.float32) for _ in range(3))
    start = RNG.normal(size=B).astype(np.float32)

    def step(carry, x, old):
        first, second = old
        return carry + x * first, carry * second, [first - carry, second * x]

    end, ys, stacks = scan_in_place(
        step, jnp.asarray(start), xs, [jnp.asarray(stack), jnp.asarray(other)], T, reverse
    )

    carry, expected, first, second = start, np.empty((T, B)), stack.copy(), other.copy()
    for t in reversed(range(T)) if reverse else range(T):
        expected[t] = carry * other[t]
        first[t], second[t] = stack[t] - carry, other[t] * xs[t]
        carry = carry + xs[t] * stack[t]
    for ours, theirs in zip([end, ys, *stacks], [carry, expected, first, second], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def copies_in_loops(function, *arguments):
    """The stacks of T that the loops of a compiled function copy at every step."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    assert text is not None
    bodies = set(re.findall(r"body=%([\w.-]+)", text))
    blocks = dict(re.findall(r"^%([\w.-]+) \(.*?\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    assert bodies and bodies <= blocks.keys()
    return [c for body in bodies for c in re.findall(rf"= f32\[{T},.*? copy\(", blocks[body])]


@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "mgu", "mlstm", "flax:OptimizedLSTMCell"])
def test_no_stack_is_copied_in_a_loop(name, registry, optimized):
    """XLA copies a stack at every step if it cannot see that it is read before it is written."""
    loss, params = loss_of(registry, f"{name}:{H}")
    assert copies_in_loops(jax.grad(loss), params) == []


def test_a_copy_in_a_loop_is_seen(optimized):
    """Stacks that change places cannot be written in place."""

    def exchanged(one, other):
        step = lambda carry, x, old: (carry, None, [jnp.sin(old[1]), jnp.cos(old[0])])  # noqa: E731
        return scan_in_place(step, None, None, [one, other], T)[2]

    stack = jax.ShapeDtypeStruct((T, B, H), jnp.float32)
    assert copies_in_loops(exchanged, stack, stack)


def loss_of(registry, spec):
    """The sum of a cell's outputs as a function of its parameters, and these."""
    cell = registry.build_cell(Ref.parse(spec), as_cell)
    params = cell.init(jax.random.key(0), 4)
    carry, xs = cell.initial_carry(params, (B, 4)), jnp.ones((T, B, 4))
    return lambda p: jnp.sum(unroll(cell.step, p, carry, xs, mode="engine")[1]), params


def products_of_a_gradient(registry, features):
    """How many products the gradient of an LSTM of that width has."""
    loss, params = loss_of(registry, f"lstm:{features}")
    return str(jax.make_jaxpr(jax.grad(loss))(params)).count("dot_general[")


@pytest.mark.slow
def test_narrow_gates_share_the_product_of_their_gradient(registry):
    """XLA adds up narrow products in another order one by one: runs would not keep their bits."""
    assert products_of_a_gradient(registry, 64) == products_of_a_gradient(registry, 48) + 3
