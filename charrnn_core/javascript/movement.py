"""Operations that move elements: each is run once, on the numbers of elements, as a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.javascript.block import copied
from charrnn_core.javascript.nodes import Node, Operand, view
from charrnn_core.javascript.operations import Operation, lowers
from charrnn_core.javascript.places import place

MOVES = frozenset(
    {"broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "rev", "slice", "tile"}
)
"""Primitives whose result has elements of their operand."""


@lowers(*MOVES)
def _move(op: Operation) -> Sequence[Operand]:
    numbers, q, shape = op.inputs[0].numbers, op.params, op.shapes[0]
    if op.name == "broadcast_in_dim":
        dims = q["broadcast_dimensions"]
        wide = [numbers.shape[dims.index(d)] if d in dims else 1 for d in range(len(shape))]
        table = np.broadcast_to(numbers.reshape(wide), shape)
    elif op.name == "transpose":
        table = numbers.transpose(q["permutation"])
    elif op.name == "tile":
        table = np.tile(numbers, q["reps"])
    elif op.name == "rev":
        table = np.flip(numbers, q["dimensions"])
    elif op.name == "slice":
        steps = q["strides"] or [1] * numbers.ndim
        limits = zip(q["start_indices"], q["limit_indices"], steps, strict=True)
        table = numbers[tuple(slice(*limit) for limit in limits)]
    else:
        table = numbers.reshape(shape)
    return [op.moved(op.inputs[0], table)]


@lowers("split")
def _split(op: Operation) -> Sequence[Operand]:
    ends = np.cumsum(op.params["sizes"])[:-1]
    pieces = np.split(op.inputs[0].numbers, ends, op.params["axis"])
    return [op.moved(op.inputs[0], table, i) for i, table in enumerate(pieces)]


@lowers("concatenate")
def _concatenate(op: Operation) -> Sequence[Operand]:
    ends = np.cumsum([x.shape[op.params["dimension"]] for x in op.inputs])[:-1]
    numbers = np.arange(int(np.prod(op.shapes[0]))).reshape(op.shapes[0])
    places = np.split(numbers, ends, op.params["dimension"])
    parts = zip(*(x.nodes for x in op.inputs), strict=True)
    return [op.result(*(put_together(op, nodes, places) for nodes in parts))]


@lowers("stack")
def _stack(op: Operation) -> Sequence[Operand]:
    size = int(np.prod(op.shapes[0]))
    numbers = np.moveaxis(np.arange(size).reshape(op.shapes[0]), op.params["axis"], 0)
    parts = zip(*(x.nodes for x in op.inputs), strict=True)
    return [op.result(*(put_together(op, nodes, list(numbers)) for nodes in parts))]


@lowers("unstack")
def _unstack(op: Operation) -> Sequence[Operand]:
    pieces = np.moveaxis(op.inputs[0].numbers, op.params["axis"], 0)
    return [op.moved(op.inputs[0], table, i) for i, table in enumerate(pieces)]


@lowers("pad")
def _pad(op: Operation) -> Sequence[Operand]:
    operand, padding = op.inputs
    landings, kept = [], []
    for length, size, (low, _, within) in zip(
        operand.shape, op.shapes[0], op.params["padding_config"], strict=True
    ):
        landing = low + np.arange(length) * (within + 1)
        kept.append((landing >= 0) & (landing < size))  # negative padding cuts off
        landings.append(landing[kept[-1]])
    table = np.full(op.shapes[0], -1)
    table[np.ix_(*landings)] = operand.numbers[np.ix_(*kept)]
    where = table.reshape(-1)
    inside, outside = np.flatnonzero(where >= 0), np.flatnonzero(where < 0)
    results = []
    for part, fill in zip(operand.nodes, padding.nodes, strict=True):
        from_part = view(part, where[inside])
        from_fill = view(fill, np.zeros(outside.size, int))
        results.append(put_together(op, [from_part, from_fill], [inside, outside]))
    return [op.result(*results)]


def put_together(op: Operation, nodes: Sequence[Node], places: Sequence[npt.NDArray[Any]]) -> Node:
    """Return a node with the elements of others, each at its place."""
    pairs = [(n, p.reshape(-1)) for n, p in zip(nodes, places, strict=True) if n.size]
    size = sum(node.size for node, _ in pairs)
    if len(pairs) == 1 and np.array_equal(pairs[0][1], np.arange(size)):
        return pairs[0][0]

    def write(*names: str) -> list[str]:
        *sources, target = names
        lines = []
        for source, (node, places) in zip(sources, pairs, strict=True):
            start = int(places[0])
            if np.array_equal(places, start + np.arange(places.size)):
                lines.append(copied(target, source, node.size, str(start) if start else ""))
            else:
                to = place(places, "i", op.named)
                lines.append(f"for(let i=0;i<{node.size};i++){target}[{to}]={source}[i];")
        return lines

    return op.statement([node for node, _ in pairs], [(size, nodes[0].dtype)], write)[0]
