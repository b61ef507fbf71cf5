"""A scan that writes over what it read, and the loops that rely on it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.engine.inplace import scan_in_place
from charrnn_core.engine.unroll import unroll
from charrnn_core.registry.registry import Registry
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


@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "mgu", "mlstm", "flax:OptimizedLSTMCell"])
def test_no_stack_is_copied_in_a_loop(name, optimized):
    """XLA copies a stack at every step if it cannot see that it is read before it is written."""
    cell = Registry.installed().build_cell(Ref.parse(f"{name}:{H}"), as_cell)
    params = cell.init(jax.random.key(0), 4)
    carry, xs = cell.initial_carry(params, (B, 4)), jnp.ones((T, B, 4))

    def loss(params):
        return jnp.sum(unroll(cell.step, params, carry, xs, mode="engine")[1])

    text = jax.jit(jax.grad(loss)).lower(params).compile().as_text()
    assert text is not None
    bodies = set(re.findall(r"body=%([\w.-]+)", text))
    blocks = dict(re.findall(r"^%([\w.-]+) \(.*?\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    assert bodies and bodies <= blocks.keys()
    for body in bodies:
        assert not re.findall(rf"= f32\[{T},.*? copy\(", blocks[body])
