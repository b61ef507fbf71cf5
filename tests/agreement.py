"""What the engine is held to: the values and every gradient of a plain scan."""

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.engine.unroll import unroll

QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For programs that run once: most of the time they take is the compiler's."""


@contextmanager
def float64():
    """In double precision; flax's cells mix dtypes there."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def normal(seed: int, *shape: int, scale=0.7, dtype=None) -> jax.Array:
    """Random numbers; without a dtype, of the widest there is."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) * scale, dtype)


def integers(seed: int, below: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).integers(below, size=shape), jnp.int32)


def randomly(tree, seed: int, dtype=np.float32, scale=0.7):
    """The tree with every inexact leaf random."""
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        return jnp.asarray(rng.normal(size=leaf.shape) * scale, dtype)

    return jax.tree.map(fill, tree)


def agree(got, expected, tolerance: float) -> None:
    """Two trees have the same structure, shapes, dtypes and, relative to each leaf, values."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    pairs = zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True)
    for (path, one), other in pairs:
        where = jax.tree_util.keystr(path)
        assert (one.shape, one.dtype) == (other.shape, other.dtype), where
        if other.dtype == jax.dtypes.float0:
            continue
        if not jnp.issubdtype(other.dtype, jnp.inexact):
            np.testing.assert_array_equal(one, other, err_msg=where)
            continue
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.isfinite(other).all(), where
        scale = max(1e-3, np.max(np.abs(other), initial=0))
        assert np.max(np.abs(one - other), initial=0) <= tolerance * scale, where


def scalar(tree) -> jax.Array:
    """A number that depends on every element of every inexact leaf."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    widest = jnp.result_type(float)
    terms = [
        jnp.sum(leaf.astype(widest) * normal(i, *leaf.shape, scale=1.0))
        for i, leaf in enumerate(leaves)
    ]
    return sum(terms[1:], start=terms[0])


def compare(step, params, carry, xs, tolerance, argnums=(0, 1, 2), **options):
    """Values and gradients with respect to parameters, carry and inputs, engine against scan."""

    def outcome(params, carry, xs, mode):
        results = unroll(step, params, carry, xs, mode=mode, **options)
        return scalar(results), results

    def both(mode):
        function = jax.value_and_grad(outcome, argnums=argnums, has_aux=True, allow_int=True)
        run = jax.jit(function, static_argnums=3, compiler_options=QUICKLY)
        (_, results), gradients = run(params, carry, xs, mode)
        return {"results": results, "gradients": gradients}

    agree(both("engine"), both("scan"), tolerance)
