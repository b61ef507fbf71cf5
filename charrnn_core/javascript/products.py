"""Products of matrices, and of what follows from the symbol or the carry with a constant matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.javascript.elementwise import in_type
from charrnn_core.javascript.nodes import Constant, Node, Operand, is_complex, real_type, view
from charrnn_core.javascript.operations import Operation, lowers


@lowers("dot_general")
def _dot_general(op: Operation) -> Sequence[Operand]:
    (contracted, batched) = op.params["dimension_numbers"]
    sides = [
        _Side(operand, over, batch)
        for operand, over, batch in zip(op.inputs, contracted, batched, strict=True)
    ]
    one, other = sides
    dtype, size = op.dtypes[0], int(np.prod(op.shapes[0]))
    kind = real_type(dtype)

    def product(a: Node, b: Node) -> Node:
        groups, rows, columns, inner = one.groups, one.free, other.free, one.inner
        if groups == columns == 1:
            call = f"matvec({{0}},{{1}},{{2}},{rows},{inner});"
        elif groups == rows == 1:
            call = f"matvec({{1}},{{0}},{{2}},{columns},{inner});"
        else:
            call = f"matmul({{0}},{{1}},{{2}},{groups},{rows},{columns},{inner});"
        wide = op.statement([a, b], [(size, kind)], lambda *names: [call.format(*names)])[0]
        return rounded(op, wide)

    a, b = one.nodes, other.nodes
    if not is_complex(dtype):
        return [op.result(product(a[0], b[0]))]
    return [op.result(*complex_product(op, a, b, product, size))]


class _Side:
    """An operand as ``[groups, free, inner]``, the axis that is summed over last."""

    def __init__(self, operand: Operand, over: Sequence[int], batch: Sequence[int]) -> None:
        axes = range(len(operand.shape))
        free = [axis for axis in axes if axis not in over and axis not in batch]
        table = operand.numbers.transpose(*batch, *free, *over)
        self.nodes = [view(node, table) for node in operand.nodes]
        self.groups, self.free, self.inner = (
            int(np.prod([operand.shape[axis] for axis in some])) for some in (batch, free, over)
        )


def rounded(op: Operation, node: Node) -> Node:
    """Return what a product of a type with fewer bits is rounded to; other nodes as they are."""
    expression = in_type(node.dtype, "{0}".format)
    if node.dtype not in ("bfloat16", "float16"):
        return node
    return op.elementwise(node.dtype, expression, node, size=node.size)


def complex_product(
    op: Operation, a: Sequence[Node], b: Sequence[Node], product: Any, size: int
) -> list[Node]:
    """Return the parts of ``(a0 + i a1)(b0 + i b1)``; a part that is missing is 0."""
    kind = real_type(op.dtypes[0])

    def combined(expression: str, *pairs: tuple[int, int]) -> Node:
        terms = [product(a[i], b[j]) for i, j in pairs if i < len(a) and j < len(b)]
        if not terms:
            return Constant(np.zeros(size, kind))
        shape = expression if len(terms) == 2 else "{0}"
        return op.elementwise(kind, shape.format, *terms, size=size)

    return [combined("{0}-{1}", (0, 0), (1, 1)), combined("{0}+{1}", (0, 1), (1, 0))]


def matrix_times(op: Operation, matrix: npt.NDArray[Any], operand: Node) -> Node:
    """Return the product of a constant matrix, of which zeros are left out if they are many."""
    rows, inner = matrix.shape
    output = [(rows, operand.dtype)]
    if np.count_nonzero(matrix) * 2 > matrix.size:
        call = f"matvec({{0}},{{1}},{{2}},{rows},{inner});"
        nodes = [Constant(matrix), operand]
        return op.statement(nodes, output, lambda *names: [call.format(*names)])[0]
    row, column = np.nonzero(matrix)
    ends = np.searchsorted(row, np.arange(rows), side="right")
    nodes = [Constant(matrix[row, column]), operand]
    where, until = op.named(column.astype(np.int32)), op.named(ends.astype(np.int32))

    def write(values: str, source: str, target: str) -> list[str]:
        return [f"sparse({values},{where},{until},{source},{target},{rows});"]

    return op.statement(nodes, output, write)[0]
