"""The engine under jax's transformations, and with carries, inputs and dtypes of any kind."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.engine.unroll import unroll
from tests.agreement import agree, compare, float64, normal, scalar

T, B, H, V = 6, 3, 5, 4


def step(p, h, x):
    """Two layers, a product per gate, and one after the loop."""
    one, two = h
    gate = jax.nn.sigmoid(one @ p["G"] + x @ p["U"])
    one = gate * one + (1 - gate) * jnp.tanh(one @ p["W"] + p["b"])
    two = jnp.tanh(two @ p["V"] + one @ p["W"])
    return (one, two), two @ p["U"].T


def arguments(*leading):
    shapes = {"G": (H, H), "U": (V, H), "W": (H, H), "V": (H, H), "b": (1, H)}
    params = {k: normal(i, *s) for i, (k, s) in enumerate(shapes.items())}
    carry = (normal(5, *leading, B, H), normal(6, *leading, B, H))
    return params, carry, normal(7, *leading, T, B, V)


def loss(mode, params, carry, xs):
    return scalar(jax.tree.map(jnp.sin, unroll(step, params, carry, xs, mode=mode)))


def gradient(mode, *arguments):
    return jax.grad(partial(loss, mode), argnums=(0, 1, 2))(*arguments)


def squares(tree):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))


def over_many(mode, params, carry, xs):
    return jax.vmap(partial(gradient, mode), in_axes=(None, 0, 0))(params, carry, xs)


def over_many_models(mode, params, carry, xs):
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), params)
    return jax.vmap(partial(gradient, mode))(many, carry, xs)


def checkpointed(mode, *arguments):
    return jax.grad(jax.checkpoint(partial(loss, mode)), argnums=(0, 1, 2))(*arguments)


def twice(mode, *arguments):
    """The gradient of a function of the gradient."""
    return jax.grad(lambda *a: squares(gradient(mode, *a)), argnums=(0, 1, 2))(*arguments)


def in_an_outer_scan(mode, params, carry, xs):
    """Windows one after the other, the carry handed on, as in evaluation."""

    def window(carry, xs):
        return unroll(step, params, carry, xs, mode=mode)

    return jax.lax.scan(window, carry, jnp.stack([xs, -xs]))


TRANSFORMS = {
    jax.jit: (),
    over_many: (2,),
    over_many_models: (2,),
    checkpointed: (),
    twice: (),
    in_an_outer_scan: (),
}


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda f: f.__name__)
def test_inside(transform):
    with float64():
        given = arguments(*TRANSFORMS[transform])
        function = gradient if transform is jax.jit else transform
        run = jax.jit(function, static_argnums=0)
        agree(run("engine", *given), run("scan", *given), 1e-10)


def test_without_jit():
    given = arguments()
    agree(unroll(step, *given, mode="engine"), unroll(step, *given, mode="scan"), 1e-5)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey], ids=["typed", "raw"])
def test_dropout_draws_the_same_mask(make):
    params, carry, xs = arguments()
    keys = jax.random.split(make(3), T)

    def dropping(p, h, x_and_key):
        x, key = x_and_key
        mask = jax.random.bernoulli(key, 0.7, (B, H))
        h = jnp.where(mask, jnp.tanh(h @ p["W"] + x @ p["U"]), 0.0)
        return h, (h, mask)

    def outcome(mode, params, h, xs):
        results = unroll(dropping, params, h, (xs, keys), mode=mode)
        return scalar(results), results

    def both(mode):
        function = jax.value_and_grad(partial(outcome, mode), argnums=(0, 1, 2), has_aux=True)
        return jax.jit(function)(params, carry[0], xs)

    engine, scan = both("engine"), both("scan")
    assert 0 < np.mean(engine[0][1][1][1]) < 1
    agree(engine, scan, 1e-5)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey], ids=["typed", "raw"])
def test_a_key_in_the_carry(make):
    params, (start, _), xs = arguments()

    def dropping(p, carry, x):
        key, h = carry
        key, now = jax.random.split(key)
        h = jnp.tanh(h @ p["W"] + x @ p["U"]) * jax.random.uniform(now, h.shape)
        return (key, h), h

    def outcome(mode, params):
        (_, h), ys = unroll(dropping, params, (make(3), start), xs, mode=mode)
        return scalar((h, ys))

    engine, scan = (jax.grad(partial(outcome, mode))(params) for mode in ("engine", "scan"))
    agree(engine, scan, 1e-5)


class Memory(NamedTuple):
    fast: jax.Array
    slow: dict


def test_a_carry_of_any_structure():
    def remembering(p, memory, x):
        fast = jnp.tanh(memory.fast @ p["W"] + x["in"][0] + memory.slow["level"])
        level = 0.9 * memory.slow["level"] + jnp.mean(fast)
        square = memory.slow["square"] @ p["square"] + fast[:, :, None] * x["in"][0][:, None, :]
        seen = memory.slow["seen"] + x["count"]
        slow = {"level": level, "square": 0.5 * square, "seen": seen, "none": None, "empty": ()}
        return Memory(fast, slow), {"y": [fast, seen], "constant": 1.5, "weight": p["W"]}

    slow = {"level": jnp.float32(0.2), "square": normal(0, B, H, H), "seen": jnp.arange(2)}
    memory = Memory(normal(1, B, H), slow | {"none": None, "empty": ()})
    params = {"W": normal(2, H, H), "square": normal(3, H, H, scale=0.2), "none": None}
    xs = {"in": (normal(4, T, B, H),), "count": jnp.arange(T)}
    compare(remembering, params, memory, xs, 1e-5)


def test_a_step_without_a_carry_and_one_without_parameters():
    W = normal(0, H, H)
    compare(lambda p, h, x: (h, jnp.tanh(x @ p)), W, (), normal(1, T, B, H), 1e-5)
    compare(lambda p, h, x: (jnp.tanh(h @ W + x),) * 2, (), W, normal(1, T, H, H), 1e-5)


def test_numbers_as_parameters_and_carry():
    def leaking(p, h, x):
        h = h * p["rate"] + jnp.sum(x @ p["W"])
        return h, jnp.sin(h)

    W, xs = normal(0, H, H), normal(1, T, H)

    def outcome(rate, mode):
        return scalar(unroll(leaking, {"rate": rate, "W": W}, 0.5, xs, mode=mode))

    agree(jax.grad(outcome)(0.3, "engine"), jax.grad(outcome)(0.3, "scan"), 1e-5)


def test_no_steps_at_all():
    params, carry, xs = arguments()
    end, ys = unroll(step, params, carry, xs[:0], mode="engine")
    agree(end, carry, 0.0)
    assert ys.shape == (0, B, V)
    compare(step, params, carry, xs[:0], 1e-5)


@pytest.mark.parametrize("wide", [None, jnp.float32], ids=str)
def test_bfloat16(wide):
    """Also with products that are added up in more digits."""
    rounded = partial(normal, dtype=jnp.bfloat16)

    def short(p, h, x):
        product = jax.lax.dot(h, p["W"], preferred_element_type=wide)
        h = jnp.tanh(product + x.astype(product.dtype)).astype(jnp.bfloat16)
        return h, h @ p["W"]

    compare(short, {"W": rounded(0, H, H)}, rounded(1, B, H), rounded(2, T, B, H), 0.05)


def test_complex_numbers():
    def turning(p, h, x):
        h = jnp.tanh((h @ p + x) * jnp.complex64(0.3))
        return h, h

    def outcome(mode, *arguments):
        h, ys = unroll(turning, *arguments, mode=mode)
        return scalar([jnp.real(h), jnp.imag(ys), jnp.real(ys)])

    def number(seed, *shape):
        return jax.lax.complex(normal(seed, *shape), normal(seed + 1, *shape))

    given = number(0, H, H), number(2, B, H), number(4, T, B, H)
    engine, scan = (
        jax.grad(partial(outcome, mode), argnums=(0, 1, 2))(*given) for mode in ("engine", "scan")
    )
    for part in (jnp.real, jnp.imag):
        agree(jax.tree.map(part, engine), jax.tree.map(part, scan), 1e-5)
