"""Sums, products and extremes over some axes, the places of extremes, and running totals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.javascript.block import looped
from charrnn_core.javascript.elementwise import in_type
from charrnn_core.javascript.nodes import Node, Operand
from charrnn_core.javascript.operations import Operation, lowers
from charrnn_core.javascript.places import place_in_row

_TO_ONE = {
    "reduce_sum": ("0", "s+a"),
    "reduce_prod": ("1", "s*a"),
    "reduce_max": ("-Infinity", "Math.max(s,a)"),
    "reduce_min": ("Infinity", "Math.min(s,a)"),
    "reduce_and": ("-1", "s&a"),
    "reduce_or": ("0", "s|a"),
    "reduce_xor": ("0", "s^a"),
}
_RUNNING = {
    "cumsum": ("0", "s+a"),
    "cumprod": ("1", "s*a"),
    "cummax": ("-Infinity", "Math.max(s,a)"),
    "cummin": ("Infinity", "Math.min(s,a)"),
    "cumlogsumexp": ("-Infinity", "logAddExp(s,a)"),
}
_SUMS = ("reduce_sum", "cumsum")


def _total(op: Operation, rule: str, dtype: str) -> str:
    """Return an expression of the total s and an element a; the product of integers wraps."""
    whole = dtype in ("int32", "uint32") and "s*a" in rule
    return in_type(dtype, lambda: "Math.imul(s,a)" if whole else rule)()


@lowers(*_TO_ONE)
def _reduce(op: Operation) -> Sequence[Operand]:
    if op.has_complex and op.name not in _SUMS:
        raise op.refused("this of complex numbers cannot be")
    rows = _rows(op.inputs[0], op.params["axes"])
    return [op.result(*(_reduced(op, node, rows) for node in op.inputs[0].nodes))]


def _reduced(op: Operation, node: Node, rows: npt.NDArray[Any]) -> Node:
    start, rule = _TO_ONE[op.name]
    start = "1" if node.dtype == "bool" and op.name == "reduce_and" else start
    count, length = rows.shape

    def write(source: str, target: str) -> list[str]:
        where = place_in_row(rows, "r", "j", op.named)
        inner = f"for(let j=0;j<{length};j++){{const a={source}[{where}];s={total};}}"
        return [looped("r", count, f"let s={start};{inner}{target}[r]=s;")]

    total = _total(op, rule, node.dtype)
    return op.statement([node], [(count, node.dtype)], write)[0]


@lowers("argmax", "argmin")
def _place_of_extreme(op: Operation) -> Sequence[Operand]:
    rows = _rows(op.inputs[0], op.params["axes"])
    count, length = rows.shape
    better = ">" if op.name == "argmax" else "<"

    def write(source: str, target: str) -> list[str]:
        where = place_in_row(rows, "r", "j", op.named)
        first = place_in_row(rows[:, :1], "r", "0", op.named)
        new = f"if(a{better}s||a!==a&&s===s){{s=a;m=j;}}"
        inner = f"for(let j=1;j<{length};j++){{const a={source}[{where}];{new}}}"
        return [looped("r", count, f"let m=0,s={source}[{first}];{inner}{target}[r]=m;")]

    return [op.result(op.statement([op.inputs[0].node], [(count, op.dtypes[0])], write)[0])]


@lowers(*_RUNNING)
def _running(op: Operation) -> Sequence[Operand]:
    if op.has_complex and op.name not in _SUMS:
        raise op.refused("this of complex numbers cannot be")
    rows = _rows(op.inputs[0], (op.params["axis"],))
    rows = rows[:, ::-1] if op.params["reverse"] else rows
    return [op.result(*(_totals(op, node, rows) for node in op.inputs[0].nodes))]


def _totals(op: Operation, node: Node, rows: npt.NDArray[Any]) -> Node:
    start, rule = _RUNNING[op.name]
    count, length = rows.shape
    total = _total(op, rule, node.dtype)

    def write(source: str, target: str) -> list[str]:
        where = place_in_row(rows, "r", "j", op.named)
        inner = f"const p={where},a={source}[p];s={total};{target}[p]=s;"
        return [looped("r", count, f"let s={start};for(let j=0;j<{length};j++){{{inner}}}")]

    return op.statement([node], [(node.size, node.dtype)], write)[0]


def _rows(operand: Operand, axes: Sequence[int]) -> npt.NDArray[Any]:
    """Return the numbers of elements, one row for each result, which depends on them."""
    kept = [axis for axis in range(len(operand.shape)) if axis not in axes]
    length = int(np.prod([operand.shape[axis] for axis in axes]))
    return (
        operand.numbers.transpose(*kept, *axes).reshape(-1, length)
        if length
        else (np.zeros((int(np.prod([operand.shape[axis] for axis in kept])), 0), int))
    )
