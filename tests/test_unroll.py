"""The unroll interface, for carries of any shape."""

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.engine.unroll import unroll


def step(params, carry, x):
    """A carry of several leaves, one of them an integer counter."""
    count, (h, c) = carry
    h = jnp.tanh(h @ params["W"] + x) * c[:, :, None].mean(axis=1)
    return (count + 1, (h, c + 1.0)), (h, count)


def parts(seed=0, T=6, B=4, H=5):
    rng = np.random.default_rng(seed)
    params = {"W": jnp.asarray(rng.normal(size=(H, H)) / 10, jnp.float32)}  # rounding must not grow
    carry = (
        jnp.arange(B, dtype=jnp.int32),
        (jnp.asarray(rng.normal(size=(B, H)), jnp.float32), jnp.ones((B, 2))),
    )
    return params, carry, jnp.asarray(rng.normal(size=(T, B, H)), jnp.float32)


def test_it_equals_a_loop():
    params, carry, xs = parts()
    end, (hs, counts) = unroll(step, params, carry, xs)
    for t in range(len(xs)):
        carry, (h, count) = step(params, carry, xs[t])
        np.testing.assert_allclose(hs[t], h, rtol=1e-6, atol=1e-6)
        assert counts[t].tolist() == count.tolist()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), end, carry)


def test_reset_replaces_rows_of_every_leaf():
    params, carry, xs = parts()
    fresh = jax.tree.map(lambda leaf: leaf[:1] * 0 + 2, parts(1)[1])
    fresh = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (4, *leaf.shape[1:])), fresh)
    reset = np.random.default_rng(3).random((6, 4)) < 0.4
    end, (hs, counts) = unroll(step, params, carry, xs, reset=jnp.asarray(reset), fresh=fresh)
    for t in range(6):
        carry = jax.tree.map(
            lambda old, new: jnp.stack([new[j] if reset[t, j] else old[j] for j in range(4)]),  # noqa: B023  # used at once
            carry,
            fresh,
        )
        carry, (h, count) = step(params, carry, xs[t])
        np.testing.assert_allclose(hs[t], h, rtol=1e-6, atol=1e-6)
        assert counts[t].tolist() == count.tolist()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), end, carry)


def test_gradients_do_not_cross_a_reset():
    params, carry, xs = parts()
    reset = jnp.zeros((6, 4), bool).at[3, 1].set(True)

    def last(xs):
        return jnp.sum(unroll(step, params, carry, xs, reset=reset, fresh=carry)[1][0][-1])

    grad = np.asarray(jax.grad(last)(xs))
    assert np.abs(grad[:3, 1]).max() == 0 and np.abs(grad[3:, 1]).min() > 0
    assert np.abs(grad[:3, 0]).min() > 0


def test_one_step_one_row_and_inside_jit_and_vmap():
    params, carry, xs = parts(T=1, B=1)
    plain = unroll(step, params, carry, xs)[1][0]
    assert plain.shape == (1, 1, 5)
    jitted = jax.jit(lambda xs: unroll(step, params, carry, xs)[1][0])(xs)
    np.testing.assert_allclose(jitted, plain, rtol=1e-6, atol=1e-6)
    mapped = jax.vmap(lambda xs: unroll(step, params, carry, xs)[1][0])(jnp.stack([xs, xs + 1]))
    np.testing.assert_allclose(mapped[0], plain, rtol=1e-6, atol=1e-6)
