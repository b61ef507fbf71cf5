"""What several kits require: purity, fixed shapes, true gradients, exact checkpoints."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Params, Tree
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.network.pytree import from_arrays, to_arrays
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.kit import fail
from charrnn_core.testing.trees import farthest, shapes

_ROUNDING = 1e-5
_FINE = 1e-4
_NEARER = 1e-3


def demand_purity(
    call: Callable[..., Any], arguments: tuple[Tree, ...], others: tuple[Tree, ...], change: str
) -> None:
    """Check that the same arguments always give the same result, compiled or not.

    Arguments:
        call: returns a tree of arrays.
        arguments, others: what it is called with, and what it is called with in between.
        change: what the author can do if a second call returns something else.

    Raises:
        CheckFailed: they do not.

    >>> demand_purity(lambda x: x + 1, (jnp.ones(2),), (jnp.zeros(2),), "keep no count")
    """
    one = call(*arguments)
    call(*others)
    apart, where = farthest(call(*arguments), one)
    if apart:
        fail(
            f"a second call with the same arguments gives a result that differs by {apart:.2g}"
            f"{_at(where)}",
            change,
        )
    with jax.checking_leaks():
        two = compiled(lambda *arguments: call(*arguments))(*arguments)
    apart, where = farthest(two, one)
    if apart > _ROUNDING:
        fail(
            f"compiled by jax.jit it gives a result that differs by {apart:.2g}{_at(where)}",
            "use jax.numpy throughout, and jnp.where instead of if, so that the result does not "
            "depend on whether it is being traced",
        )


def demand_fixed_shapes(what: str, before: Tree, after: Tree, change: str) -> None:
    """Check that a tree keeps its structure, and every leaf its shape and dtype.

    Arguments:
        what: turns one into the other, such as ``"an update"``.
        before, after: trees of arrays, or of their shapes.
        change: what the author can do.

    Raises:
        CheckFailed: it does not.

    >>> demand_fixed_shapes("a step", {"n": jnp.int32(0)}, {"n": jnp.float32(1)}, "count in int32")
    Traceback (most recent call last):
    charrnn_core.testing.kit.CheckFailed: a step turns ['n'] from int32[] into float32[]; count...
    """
    old, new = shapes(before), shapes(after)
    if jax.tree.structure(old) != jax.tree.structure(new):
        fail(f"{what} turns {old} into {new}", change)
    leaves = zip(jax.tree_util.tree_leaves_with_path(old), jax.tree.leaves(new), strict=True)
    for (path, one), two in leaves:
        if one != two:
            fail(f"{what} turns {jax.tree_util.keystr(path) or 'it'} from {one} into {two}", change)


class Slope(NamedTuple):
    """How a function changes along a random direction of one of its arguments.

    Fields:
        path: of the argument.
        claimed, measured: by the gradient, and by finite differences.
        apart: how far these are apart, relative to the gradient.
    """

    path: str
    claimed: float
    measured: float
    apart: float


def demand_true_gradients(
    function: Callable[[Tree], jax.Array],
    at: Tree,
    grads: Params,
    change: str,
    step: float = _FINE,
    tolerance: float = _FINE,
) -> float:
    """Check a function's gradient against finite differences; call it in float64.

    Arguments:
        function: returns a number; compiled, as it is called eight times for each leaf.
        at: its argument, a tree of arrays; leaves that are not inexact are left alone.
        grads: its gradient there.
        change: what the author can do.
        step: how far apart the differences are taken; larger where a function is smooth, and may
            be computed in float32 after all.
        tolerance: how far apart both may be, relative to the gradient.

    Returns:
        How far they are apart at most, relative to the gradient.

    Raises:
        CheckFailed: they are too far apart.

    >>> with jax.enable_x64(True):
    ...     demand_true_gradients(jnp.sum, jnp.ones(2), jnp.ones(2), "fix it") < 1e-9
    True
    """
    worst = 0.0
    # A kink that lies between two points spoils their difference, not that of two much nearer ones.
    steps = (step, _NEARER * step)
    for slopes in zip(*(_slopes(function, at, grads, size) for size in steps), strict=True):
        slope = min(slopes, key=lambda slope: slope.apart)
        worst = max(worst, slope.apart)
        if not slope.apart < tolerance:
            fail(
                f"the gradient{f' of {slope.path}' if slope.path else ''} along a random direction "
                f"is {slope.claimed:.6g}; finite differences give {slope.measured:.6g}",
                change,
            )
    return worst


def _slopes(
    function: Callable[[Tree], jax.Array], at: Tree, grads: Params, step: float
) -> Iterator[Slope]:
    leaves, structure = jax.tree.flatten(at)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(at)]
    rng = np.random.default_rng(13)
    for i, (path, leaf, grad) in enumerate(zip(paths, leaves, jax.tree.leaves(grads), strict=True)):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        direction = rng.normal(size=leaf.shape)
        direction /= max(np.linalg.norm(direction), 1e-30)

        def along(size: float, i: int = i, leaf: Tree = leaf, direction: Tree = direction) -> float:
            there = (leaf + size * direction).astype(leaf.dtype)
            moved = [*leaves[:i], there, *leaves[i + 1 :]]
            return float(function(jax.tree.unflatten(structure, moved)))

        # The fourth-order formula, so that curvature does not count as a fault.
        rise = 8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))
        measured, claimed = rise / (12 * step), float(np.sum(np.asarray(grad) * direction))
        scale = max(abs(measured), float(np.linalg.norm(grad)), 1e-3)
        yield Slope(path, claimed, measured, abs(claimed - measured) / scale)


def demand_safe_keeping(kept: Mapping[str, Any], templates: Mapping[str, Any], change: str) -> None:
    """Check that trees come back from a checkpoint bit for bit, in a new tree's structure.

    Arguments:
        kept: trees of arrays by name.
        templates: the same trees, or their shapes, as a program has them before it loads.
        change: what the author can do.

    Raises:
        CheckFailed, CheckpointError: they do not.

    >>> demand_safe_keeping({"a": jnp.ones(2)}, {"a": jnp.zeros(2)}, "use plain arrays")
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kept.crn")
        save_checkpoint(path, {}, to_arrays(kept))
        arrays = dict(load_checkpoint(path).arrays)
    read = {name: from_arrays(arrays, template, name) for name, template in templates.items()}
    before, after = to_arrays(kept), to_arrays(read)
    for path, array in before.items():
        if after[path].tobytes() != array.tobytes():
            fail(f"{path} changes when it is saved in a checkpoint and loaded again", change)


def _at(where: str) -> str:
    return f" at {where}" if where else ""
