"""Reading and writing at places that the step computes: gathers, scatters and dynamic slices."""

from collections.abc import Sequence

import numpy as np
from jax.lax import GatherScatterMode

from charrnn_core.javascript.block import copied, looped
from charrnn_core.javascript.elementwise import in_type
from charrnn_core.javascript.nodes import Node, Operand
from charrnn_core.javascript.operations import Operation, lowers
from charrnn_core.javascript.places import place, place_in_row

_PUT = {
    "scatter": "{1}",
    "scatter-add": "{0}+{1}",
    "scatter_add": "{0}+{1}",
    "scatter_sub": "{0}-{1}",
    "scatter_mul": "{0}*{1}",
    "scatter_max": "Math.max({0},{1})",
    "scatter_min": "Math.min({0},{1})",
}


@lowers("dynamic_slice")
def _dynamic_slice(op: Operation) -> Sequence[Operand]:
    operand, *starts = op.inputs
    window = op.params["slice_sizes"]
    offsets = operand.numbers[tuple(map(slice, window))].reshape(-1)
    bounds = [size - width for size, width in zip(operand.shape, window, strict=True)]

    def taken(node: Node) -> Node:
        def write(source: str, *names: str) -> list[str]:
            *indices, target = names
            start = _clamped(indices, bounds, _strides(operand.shape))
            where = place(offsets, "i", op.named)
            body = f"{target}[i]={source}[s+{where}];"
            return [f"{{const s={start};for(let i=0;i<{offsets.size};i++){body}}}"]

        inputs = [node, *(start.node for start in starts)]
        return op.statement(inputs, [(offsets.size, node.dtype)], write)[0]

    return [op.result(*map(taken, operand.nodes))]


@lowers("dynamic_update_slice")
def _dynamic_update_slice(op: Operation) -> Sequence[Operand]:
    operand, update, *starts = op.inputs
    offsets = operand.numbers[tuple(map(slice, update.shape))].reshape(-1)
    bounds = [size - width for size, width in zip(operand.shape, update.shape, strict=True)]

    def updated(node: Node, new: Node) -> Node:
        def write(source: str, update: str, *names: str) -> list[str]:
            *indices, target = names
            start = _clamped(indices, bounds, _strides(operand.shape))
            where = place(offsets, "i", op.named)
            body = f"{target}[s+{where}]={update}[i];"
            return [
                copied(target, source, node.size),
                f"{{const s={start};for(let i=0;i<{offsets.size};i++){body}}}",
            ]

        inputs = [node, new, *(start.node for start in starts)]
        return op.statement(inputs, [(node.size, node.dtype)], write)[0]

    return [op.result(*map(updated, operand.nodes, update.nodes))]


@lowers("gather")
def _gather(op: Operation) -> Sequence[Operand]:
    operand, indices = op.inputs
    found = op.params["dimension_numbers"]
    windows = _Windows(
        operand.shape,
        indices.shape,
        op.shapes[0],
        op.params["slice_sizes"],
        in_window=found.offset_dims,
        collapsed=found.collapsed_slice_dims,
        indexed=found.start_index_map,
        batch=tuple(
            zip(found.operand_batching_dims, found.start_indices_batching_dims, strict=True)
        ),
    )
    fills = op.params["mode"] == GatherScatterMode.FILL_OR_DROP
    fill = op.params["fill_value"]

    def taken(node: Node) -> Node:
        missing = _fill(node.dtype) if fill is None else str(fill)

        def write(source: str, index: str, target: str) -> list[str]:
            within, start = windows.check(index, op), windows.start(index, op, clamped=not fills)
            into, offset = windows.into("r", "i", op), windows.offset("i", op)
            value = f"{source}[s+{offset}]"
            value = f"ok?{value}:{missing}" if fills else value
            body = f"for(let i=0;i<{windows.width};i++){target}[{into}]={value};"
            guard = f"const ok={within};" if fills else ""
            return [looped("r", windows.count, f"{guard}const s={start};{body}")]

        size = int(np.prod(op.shapes[0]))
        return op.statement([node, indices.node], [(size, node.dtype)], write)[0]

    return [op.result(*map(taken, operand.nodes))]


@lowers(*_PUT)
def _scatter(op: Operation) -> Sequence[Operand]:
    operand, indices, updates = op.inputs
    if op.has_complex and op.name not in ("scatter", "scatter-add", "scatter_add", "scatter_sub"):
        raise op.refused("this of complex numbers cannot be")
    found = op.params["dimension_numbers"]
    batch = found.operand_batching_dims
    inner = [d for d in range(len(operand.shape)) if d not in (*found.inserted_window_dims, *batch)]
    sizes = [1] * len(operand.shape)
    for axis, dim in zip(inner, found.update_window_dims, strict=True):
        sizes[axis] = updates.shape[dim]
    windows = _Windows(
        operand.shape,
        indices.shape,
        updates.shape,
        sizes,
        in_window=found.update_window_dims,
        collapsed=found.inserted_window_dims,
        indexed=found.scatter_dims_to_operand_dims,
        batch=tuple(zip(batch, found.scatter_indices_batching_dims, strict=True)),
    )
    clips = op.params["mode"] == GatherScatterMode.CLIP

    def put(node: Node, update: Node) -> Node:
        def write(source: str, index: str, new: str, target: str) -> list[str]:
            start, from_ = windows.start(index, op, clamped=clips), windows.into("r", "i", op)
            there = f"{target}[s+{windows.offset('i', op)}]"
            value = in_type(node.dtype, _PUT[op.name].format)(there, f"{new}[{from_}]")
            body = f"const s={start};for(let i=0;i<{windows.width};i++){there}={value};"
            body = body if clips else f"if({windows.check(index, op)}){{{body}}}"
            return [copied(target, source, node.size), looped("r", windows.count, body)]

        inputs = [node, indices.node, update]
        return op.statement(inputs, [(node.size, node.dtype)], write)[0]

    return [op.result(*map(put, operand.nodes, updates.nodes))]


class _Windows:
    """Windows of an operand, each found by a row of indices, and the array that they make up.

    Arguments:
        shape, indices, windowed: shapes of the operand, of the indices (the last axis is a row),
            and of the array of windows.
        sizes: of a window, for each axis of the operand.
        in_window: axes of the array of windows that are axes of a window.
        collapsed: axes of the operand that a window lacks, besides those of a batch.
        indexed: for each number in a row, the axis of the operand that it is a place on.
        batch: pairs of axes of the operand and of the indices that go together.
    """

    def __init__(
        self,
        shape: Sequence[int],
        indices: Sequence[int],
        windowed: Sequence[int],
        sizes: Sequence[int],
        *,
        in_window: Sequence[int],
        collapsed: Sequence[int],
        indexed: Sequence[int],
        batch: Sequence[tuple[int, int]],
    ) -> None:
        strides = _strides(shape)
        self._strides = [strides[axis] for axis in indexed]
        self._bounds = [shape[axis] - sizes[axis] for axis in indexed]
        self._row = indices[-1]
        rows = indices[:-1]
        self.count = int(np.prod(rows))
        dropped = {*collapsed, *(axis for axis, _ in batch)}
        inner = [axis for axis in range(len(shape)) if axis not in dropped]
        offsets = np.zeros([sizes[axis] for axis in inner], int)
        for number, axis in enumerate(inner):
            along = np.arange(sizes[axis]) * strides[axis]
            offsets += along.reshape([-1 if n == number else 1 for n in range(len(inner))])
        self._offsets = offsets.reshape(-1)
        self.width = self._offsets.size
        numbers = np.arange(int(np.prod(windowed))).reshape(windowed)
        outer = [axis for axis in range(len(windowed)) if axis not in in_window]
        self._into = numbers.transpose(*outer, *in_window).reshape(self.count, self.width)
        places = np.indices(rows).reshape(len(rows), self.count)
        self._of_batch = sum(
            (places[row] * strides[axis] for axis, row in batch), np.zeros(self.count, int)
        )

    def into(self, row: str, element: str, op: Operation) -> str:
        """Return where an element of a row's window is in the array of windows."""
        return place_in_row(self._into, row, element, op.named)

    def offset(self, element: str, op: Operation) -> str:
        """Return where an element of a window is, counted from its first."""
        return place(self._offsets, element, op.named)

    def start(self, index: str, op: Operation, clamped: bool) -> str:
        """Return where the window of row r begins."""
        names = [f"{index}[r*{self._row}+{k}]" for k in range(self._row)]
        bounds = self._bounds if clamped else [None] * self._row
        terms = [_clamped(names, bounds, self._strides)]
        if self._of_batch.any():
            terms.append(place(self._of_batch, "r", op.named))
        return "+".join(terms)

    def check(self, index: str, op: Operation) -> str:
        """Return whether the window of row r lies within the operand."""
        del op
        names = (f"{index}[r*{self._row}+{k}]" for k in range(self._row))
        tests = [
            f"{name}>=0&&{name}<={bound}" for name, bound in zip(names, self._bounds, strict=True)
        ]
        return "&&".join(tests) or "true"


def _strides(shape: Sequence[int]) -> list[int]:
    return [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


def _clamped(names: Sequence[str], bounds: Sequence[int | None], strides: Sequence[int]) -> str:
    """Return where a window begins, given the names of its places on some axes."""
    terms = []
    for name, bound, stride in zip(names, bounds, strides, strict=True):
        # An array of one element, or an element of an array.
        element = name if "[" in name else f"{name}[0]"
        element = element if bound is None else f"Math.min(Math.max({element},0),{bound})"
        terms.append(element if stride == 1 else f"{element}*{stride}")
    return "+".join(terms) or "0"


def _fill(dtype: str) -> str:
    """Return what stands for elements that are not there."""
    if dtype == "bool":
        return "1"
    if dtype.startswith("uint"):
        return str(2 ** int(dtype[4:]) - 1)
    return f"-{2 ** (int(dtype[3:]) - 1)}" if dtype.startswith("int") else "NaN"
