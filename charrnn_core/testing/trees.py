"""Trees of arrays: filled at random, cast, shown, compared."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Tree
from charrnn_core.network.pytree import to_arrays

Numbers = npt.NDArray[Any]


def randomly(tree: Tree, seed: int) -> Tree:
    """Return the tree with every inexact leaf replaced by random numbers of its dtype.

    >>> randomly({"step": jnp.int32(3)}, 0)["step"].tolist()
    3
    """
    rng = np.random.default_rng(seed)

    def fill(leaf: Tree) -> Tree:
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        return jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(fill, tree)


def in_dtype(tree: Tree, dtype: Any) -> Tree:
    """Return the tree with every floating-point leaf cast to that dtype.

    >>> shapes(in_dtype([jnp.ones(2), jnp.int32(3)], jnp.bfloat16))
    ['bfloat16[2]', 'int32[]']
    """

    def cast(leaf: Tree) -> Tree:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(lambda leaf: cast(jnp.asarray(leaf)), tree)


def shapes(tree: Tree) -> Tree:
    """Return the tree's leaves as text, such as ``float32[3,8]``.

    >>> shapes({"W": jnp.ones((3, 8))})
    {'W': 'float32[3,8]'}
    """

    def show(leaf: Tree) -> str:
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"

    return jax.tree.map(show, tree)


def farthest(tree: Tree, other: Tree) -> tuple[float, str]:
    """Return the largest difference between two trees, relative to its leaf, and its place.

    Equal infinities do not differ; NaN differs infinitely from everything.

    >>> farthest({"a": jnp.ones(2), "b": jnp.ones(2)}, {"a": jnp.ones(2), "b": 2 * jnp.ones(2)})
    (0.5, "['b']")
    """
    worst, where = 0.0, ""
    pairs = zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(other), strict=True)
    for (path, one), two in pairs:
        one, two = _numbers(one), _numbers(two)
        with np.errstate(invalid="ignore"):
            apart = np.where(one == two, 0.0, np.abs(one - two))
        apart = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))
        scale = max(1e-3, float(np.abs(two[np.isfinite(two)]).max(initial=0.0)))
        if apart / scale > worst:
            worst, where = apart / scale, jax.tree_util.keystr(path)
    return worst, where


def _numbers(leaf: Tree) -> Numbers:
    """Return a leaf in double precision; a random key as its data."""
    (array,) = to_arrays(leaf).values()
    return array if np.iscomplexobj(array) else array.astype(np.float64)
