"""Sorting, and the largest elements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.javascript.block import looped
from charrnn_core.javascript.nodes import Operand
from charrnn_core.javascript.operations import Operation, lowers
from charrnn_core.javascript.places import place_in_row


@lowers("sort")
def _sort(op: Operation) -> Sequence[Operand]:
    if op.has_complex:
        raise op.refused("an order of complex numbers cannot be")
    rows = _rows(op.inputs[0], op.params["dimension"])
    count, length = rows.shape
    many = len(op.inputs)

    def write(*names: str) -> list[str]:
        sources, targets = names[:many], names[many:]
        one, other, here, there = (
            place_in_row(rows, "r", variable, op.named) for variable in ("p", "q", "j", "o[j]")
        )
        keys = [f"compare({x}[{one}],{x}[{other}])" for x in sources[: op.params["num_keys"]]]
        order = f"const o=indices({length}).sort((p,q)=>{'||'.join([*keys, 'p-q'])});"
        moves = "".join(f"{t}[{here}]={s}[{there}];" for s, t in zip(sources, targets, strict=True))
        body = f"{order}for(let j=0;j<{length};j++){{{moves}}}"
        return [looped("r", count, body)]

    outputs = [(x.size, x.dtype) for x in op.inputs]
    nodes = op.statement([x.node for x in op.inputs], outputs, write)
    return [op.result(node, output=i) for i, node in enumerate(nodes)]


@lowers("top_k")
def _top_k(op: Operation) -> Sequence[Operand]:
    (operand,) = op.inputs
    axis = op.params.get("axis", -1) % len(operand.shape)
    rows = _rows(operand, axis)
    found = np.arange(int(np.prod(op.shapes[0]))).reshape(op.shapes[0])
    into = np.moveaxis(found, axis, -1).reshape(-1, op.shapes[0][axis])
    count, length = rows.shape

    def write(source: str, values: str, places: str) -> list[str]:
        one, other, from_, to = (
            place_in_row(table, "r", variable, op.named)
            for table, variable in ((rows, "p"), (rows, "q"), (rows, "o[j]"), (into, "j"))
        )
        order = f"compare({source}[{other}],{source}[{one}])||p-q"
        moves = f"{values}[{to}]={source}[{from_}];{places}[{to}]=o[j];"
        body = f"const o=indices({length}).sort((p,q)=>{order});"
        return [looped("r", count, f"{body}for(let j=0;j<{into.shape[1]};j++){{{moves}}}")]

    outputs = [(found.size, dtype) for dtype in op.dtypes]
    nodes = op.statement([operand.node], outputs, write)
    return [op.result(node, output=i) for i, node in enumerate(nodes)]


def _rows(operand: Operand, axis: int) -> npt.NDArray[Any]:
    return np.moveaxis(operand.numbers, axis, -1).reshape(-1, operand.shape[axis])
