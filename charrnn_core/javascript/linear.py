"""Operations that are linear in what is not known: convolutions, Fourier transforms, windows."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.javascript.nodes import Node, Operand, is_complex
from charrnn_core.javascript.operations import Operation, lowers
from charrnn_core.javascript.products import matrix_times, rounded

_LARGEST = 1 << 23
"""The most elements of a matrix that such an operation may become."""


@lowers("conv_general_dilated", "fft", "reduce_window_sum", "triangular_solve")
def _as_matrix(op: Operation) -> Sequence[Operand]:
    """Apply the operation to each unit vector: the results are the columns of a matrix."""
    unknown = [i for i, x in enumerate(op.inputs) if x.value is None]
    if len(unknown) != 1 or (op.name == "triangular_solve" and unknown == [0]):
        raise op.refused("it is not linear in what the step computes, and cannot be")
    (which,) = unknown
    operand, size = op.inputs[which], int(np.prod(op.shapes[0]))
    if operand.size * size > _LARGEST:
        raise op.refused(f"a matrix of {size:,} by {operand.size:,} is too large and cannot be")
    known: list[Any] = [x.value for x in op.inputs]
    primitive, params = op.equation.primitive, op.equation.params

    def applied(unit: Any) -> Any:
        args = list(known)
        args[which] = unit.reshape(operand.shape)
        with op.equation.ctx.manager:
            result = primitive.bind(*args, **primitive.get_bind_params(params))
        return jnp.ravel(result)

    columns = jax.jit(lambda units: jax.lax.map(applied, units))
    eye = np.eye(operand.size, dtype=operand.dtype)
    # Of complex numbers it is linear in the real and in the imaginary parts, each by itself.
    units = (eye, 1j * eye) if is_complex(operand.dtype) else (eye,)
    matrices = [np.asarray(columns(unit.astype(operand.dtype))).T for unit in units]
    parts = (np.real, np.imag) if is_complex(op.dtypes[0]) else (np.real,)
    return [op.result(*(_sum(op, [*map(part, matrices)], operand.nodes) for part in parts))]


def _sum(op: Operation, matrices: Sequence[Any], nodes: Sequence[Node]) -> Node:
    """Return the sum of products of matrices with nodes."""
    terms = [
        matrix_times(op, np.ascontiguousarray(matrix, np.float32), node)
        for matrix, node in zip(matrices, nodes, strict=True)
    ]
    if len(terms) == 1:
        return rounded(op, terms[0])
    return op.elementwise(terms[0].dtype, "{0}+{1}".format, *terms, size=terms[0].size)
