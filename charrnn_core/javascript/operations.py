"""An operation to be compiled, the table of those that can be, and what is said of the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jax.extend.core import ClosedJaxpr, JaxprEqn

from charrnn_core.errors import ExportError
from charrnn_core.javascript.block import Block
from charrnn_core.javascript.nodes import (
    ARRAYS,
    Elementwise,
    Expression,
    Node,
    Operand,
    Statement,
    Stored,
    is_complex,
    real_type,
    view,
)

Lowering = Callable[["Operation"], Sequence[Operand]]
"""Adds to a block what computes an operation, and returns its results."""

LOWERINGS: dict[str, Lowering] = {}
"""How each primitive of jax is compiled; the modules of this folder fill it."""

_LIBRARIES = ("jax", "jaxlib", "flax", "charrnn_core")


def lowers(*names: str) -> Callable[[Lowering], Lowering]:
    """Register a function as that which compiles these primitives."""

    def register(lowering: Lowering) -> Lowering:
        LOWERINGS.update(dict.fromkeys(names, lowering))
        return lowering

    return register


@dataclass(frozen=True, eq=False)
class Operation:
    """``outputs = primitive(inputs)``, to be compiled into a block.

    Arguments:
        equation: of the step, with the primitive and its parameters.
        inputs: the operands; some may be known.
        block: where code is added.
        inside: compiles what a loop or a branch calls: ``(jaxpr, operands, block) -> results``.
    """

    equation: JaxprEqn
    inputs: Sequence[Operand]
    block: Block
    inside: Callable[[ClosedJaxpr, Sequence[Operand], Block], list[Operand]]

    @property
    def name(self) -> str:
        """Return the name of the primitive."""
        return self.equation.primitive.name

    @property
    def params(self) -> Mapping[str, Any]:
        """Return the parameters of the primitive."""
        return self.equation.params

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the results."""
        return [found.shape for found in self._outputs]

    @property
    def dtypes(self) -> list[str]:
        """Return the types of the results."""
        return [self.checked(found.dtype.name) for found in self._outputs]

    @property
    def _outputs(self) -> list[Any]:
        return [variable.aval for variable in self.equation.outvars]

    @property
    def has_complex(self) -> bool:
        """Say whether an operand or a result has complex numbers."""
        return any(map(is_complex, [*(x.dtype for x in self.inputs), *self.dtypes]))

    def checked(self, dtype: str) -> str:
        """Return a type, if there are arrays of it."""
        if real_type(dtype) not in ARRAYS:
            raise self.refused(f"numbers of type {dtype} cannot be")
        return dtype

    def result(self, *nodes: Node, output: int = 0) -> Operand:
        """Return an output that these nodes hold."""
        return Operand(self.shapes[output], self.dtypes[output], nodes)

    def elementwise(self, dtype: str, expression: Expression, *inputs: Node, size: int) -> Node:
        """Add a node that has an expression of other nodes' elements."""
        node = Elementwise(size, dtype, expression, inputs)
        self.block.add(node)
        return node

    def statement(
        self,
        inputs: Sequence[Node],
        outputs: Sequence[tuple[int, str]],
        write: Callable[..., Sequence[str]],
    ) -> tuple[Node, ...]:
        """Add lines of code, and return what they compute."""
        statement = Statement([self.block.whole(node) for node in inputs], outputs, write)
        self.block.add(statement)
        return statement.outputs

    def moved(self, operand: Operand, table: npt.NDArray[Any], output: int = 0) -> Operand:
        """Return an output whose elements are those of an operand that a table names."""
        nodes = (view(node, table) for node in operand.nodes)
        return self.result(*nodes, output=output)

    def named(self, table: npt.NDArray[Any]) -> str:
        """Return the name of an array of constants."""
        return self.block.program.constant(table)

    def refused(self, why: str) -> ExportError:
        """Return the error that says what cannot be compiled, and where it comes from."""
        where = source_of(self.equation)
        shown = f"{self.name} of {', '.join(v.aval.str_short() for v in self.equation.invars)}"
        place = f"{where}: " if where else ""
        return ExportError(
            f"{place}{why} exported to JavaScript, in the equation {shown}; write this part of "
            "the step with other operations of jax.numpy"
        )


def source_of(equation: JaxprEqn) -> str | None:
    """Return ``file:line`` of the innermost line outside of jax, flax and charrnn's core."""
    traceback = equation.source_info.traceback
    for frame in traceback.frames if traceback is not None else ():
        parts = Path(frame.file_name).parts
        if not any(library in parts for library in _LIBRARIES):
            return f"{frame.file_name}:{frame.line_num}"
    return None


def stored(program: Any, shape: Sequence[int], dtype: str) -> Operand:
    """Return an operand with new arrays, which code will fill.

    Arguments:
        program: where the arrays are.
    """
    size, kind = int(np.prod(shape)), real_type(dtype)
    parts = 2 if is_complex(dtype) else 1
    nodes = (Stored(size, kind, program.array(size, kind)) for _ in range(parts))
    return Operand(tuple(shape), dtype, tuple(nodes))
