"""What the author of a cell calls what its step computes."""

import linecache
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from charrnn_core.arrays import Params
from charrnn_core.engine.equations import Value
from charrnn_core.engine.trace import trace
from charrnn_core.network.calling import begin, take_step
from charrnn_core.network.network import Network

_LIBRARIES = {"jax", "jaxlib", "flax", "charrnn_core"}
_ASSIGNED = re.compile(r"\s*([A-Za-z_]\w*)\s*(?::[^=]+)?=(?!.*\blambda\b)[^=]")
_NEXT = re.compile(r"^(new|next)_|_(new|next)?$")


def leaf_names(network: Network, params: Params) -> list[str]:
    """Name the leaves of a cell's carry, in their order, as its author does.

    Keys of dictionaries and fields of named tuples and dataclasses are names. A place in a tuple or
    list is called what the author's line assigns its next value to, so that ``new_c = f*c + i*g``
    makes it c; without such a line it is a number counted from 1. What is nested has its names
    joined by dots.

    Arguments:
        network, params: those of a model.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.LSTMCell(4)), symbols=6)  # its lines are not an author's
    >>> leaf_names(network, network.init(jax.random.key(0)))
    ['carry 1', 'carry 2']
    """
    cell, shape = network.cell, (1, network.in_features)
    carry = jax.eval_shape(lambda params: begin(cell, params, shape), params["cell"])
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    traced = trace(partial(take_step, cell), params["cell"], carry, x)
    makers = {value: equation for equation in traced.equations for value in equation.outputs}
    paths = [_parts(path) for path, _ in jax.tree_util.tree_leaves_with_path(carry)]
    lines = [
        assigned_name(makers[atom].source) if isinstance(atom, Value) and atom in makers else None
        for atom in traced.carry_out
    ]
    return joined_names(paths, [line and (_NEXT.sub("", line) or line) for line in lines])


def joined_names(paths: Sequence[Sequence[str | int]], lines: Sequence[str | None]) -> list[str]:
    """Name leaves by their paths, and by what lines assign them to where a path ends in a number.

    >>> joined_names([[1], [2]], ["c", "h"]), joined_names([["c"], ["at", 1]], ["x", None])
    (['c', 'h'], ['c', 'at.1'])
    >>> joined_names([[1, 1], [1, 2], [2]], ["c", "h", "h"])
    ['carry 1.c', 'carry 1.h', 'carry 2.h']
    >>> joined_names([[1], [2]], ["h", "h"]), joined_names([[]], ["h"]), joined_names([[]], [None])
    (['carry 1.h', 'carry 2.h'], ['h'], ['carry'])
    """
    depth = max(map(len, paths), default=0)
    short, full = [], []
    for path, line in zip(paths, lines, strict=True):
        named = line is None or (path and isinstance(path[-1], str))
        full.append(_joined(path if named else [*path, line]))
        short.append(full[-1] if named else _joined([*path[: depth - 1], line]))
    return [one if short.count(one) == 1 else other for one, other in zip(short, full, strict=True)]


def assigned_name(equation: JaxprEqn) -> str | None:
    """Return the variable that the author's line assigns the result of an equation to.

    The line is the innermost one outside of jax, flax and charrnn's core; None if it assigns
    nothing, or a function, or cannot be read.
    """
    trace = equation.source_info.traceback
    for frame in trace.frames if trace is not None else ():
        if _LIBRARIES.isdisjoint(Path(frame.file_name).parts):
            found = _ASSIGNED.match(linecache.getline(frame.file_name, frame.line_num))
            return found[1] if found else None
    return None


def _parts(path: Sequence[Any]) -> list[str | int]:
    """Return the names and, from 1, the numbers in a path."""
    numbered = jax.tree_util.SequenceKey, jax.tree_util.FlattenedIndexKey
    return [
        int(jax.tree_util.keystr((key,), simple=True)) + 1
        if isinstance(key, numbered)
        else jax.tree_util.keystr((key,), simple=True)
        for key in path
    ]


def _joined(parts: Sequence[str | int | None]) -> str:
    name = ".".join(map(str, parts))
    return name if parts and isinstance(parts[0], str) else f"carry {name}".rstrip()
