"""Pytrees as arrays by path, which is how a checkpoint keeps them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Params, Shaped, Structure, Tree
from charrnn_core.blame import outlined
from charrnn_core.errors import CheckpointError
from charrnn_core.files.checkpoint import Arrays
from charrnn_core.network.mesh import fetched

_KEY_IMPLEMENTATIONS = ("threefry2x32", "rbg", "unsafe_rbg")


def to_arrays(tree: Tree) -> dict[str, npt.NDArray[Any]]:
    """Return every leaf of a tree by its path; random keys as their data.

    >>> to_arrays({"cell": {"W": jax.numpy.ones(2)}})
    {'cell/W': array([1., 1.], dtype=float32)}
    """
    return {path: fetched(_plain(leaf)) for path, leaf in _leaves(tree, "")}


def from_arrays(arrays: Arrays, template: Tree, prefix: str) -> Tree:
    """Return the arrays below `prefix` in the structure of `template`, a tree of arrays or shapes.

    Raises:
        CheckpointError: a path is missing or left over, or a shape or dtype differs.

    >>> from_arrays({"params/W": np.ones(2, np.float32)}, {"W": jax.numpy.ones(2)}, "params")
    {'W': array([1., 1.], dtype=float32)}
    """
    wanted = {f"{prefix}{path}": leaf for path, leaf in _leaves(template, "/")}
    below = (f"{prefix}/", f"{prefix}#")
    present = {path for path in arrays if path == prefix or path.startswith(below)}
    for path in sorted(wanted.keys() ^ present):
        has, lacks = ("the model", "the file") if path in wanted else ("the file", "the model")
        raise CheckpointError(f"the checkpoint does not fit: {has} has {path}, {lacks} does not")
    return jax.tree.unflatten(
        jax.tree.structure(template),
        [_restored(path, arrays[path], leaf) for path, leaf in wanted.items()],
    )


def named(tree: Tree) -> Tree:
    """Return a tree with every leaf replaced by its path, as `to_arrays` has it.

    >>> named({"cell": {"W": 1.0}})
    {'cell': {'W': 'cell/W'}}
    """
    return jax.tree.structure(tree).unflatten(path for path, _ in _leaves(tree, ""))


def form(tree: Tree) -> tuple[Structure, list[str]]:
    """Return what has to stay the same of a tree: its structure, every leaf's shape and dtype.

    >>> form([jax.numpy.ones(2), 0]) == form([jax.numpy.zeros(2), jax.numpy.int32(1)])
    True
    """
    with contextlib.suppress(TypeError):  # a leaf that is not an array stays as it is
        tree = jax.eval_shape(lambda tree: tree, tree)
    leaves, structure = jax.tree.flatten(tree)
    return structure, [outlined(leaf) for leaf in leaves]


def _restored(path: str, got: npt.NDArray[Any], leaf: Shaped) -> npt.NDArray[Any] | Array:
    plain = jax.eval_shape(_plain, leaf)
    expected = f"{np.dtype(plain.dtype)}{list(plain.shape)}"
    if f"{got.dtype}{list(got.shape)}" != expected:
        raise CheckpointError(
            f"the checkpoint does not fit: {path} is {got.dtype}{list(got.shape)} in the "
            f"file; the model expects {expected}"
        )
    if is_key(leaf):
        same = (name for name in _KEY_IMPLEMENTATIONS if _key_dtype(name) == leaf.dtype)
        return jax.random.wrap_key_data(jax.numpy.asarray(got), impl=next(same, None))
    return got


def _key_dtype(implementation: str) -> object:
    return jax.eval_shape(lambda: jax.random.key(0, impl=implementation)).dtype


def _plain(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def is_key(leaf: Tree) -> bool:
    """Return whether a leaf is an array of random keys, which NumPy has no type for."""
    return hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _leaves(tree: Tree, root: str) -> Iterator[tuple[str, Array]]:
    """Yield every leaf with its path, such as ``cell/W``; `root` precedes one that is not empty."""
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        path = jax.tree_util.keystr(keys, simple=True, separator="/")
        if is_key(leaf):  # another implementation of random keys is another leaf
            path = f"{path}#{leaf.dtype}"
        yield (root + path if path else ""), leaf


def count_parameters(params: Params) -> int:
    """Count the numbers in a tree of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
