"""Compiles equations into a block, one after the other; what is known is computed right away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr

from charrnn_core.engine.equations import Atom, Env, Equation, Literal, Value, flatten, wanted
from charrnn_core.javascript import (  # noqa: F401  # they fill the table of operations
    control,
    elementwise,
    indexing,
    linear,
    movement,
    products,
    reductions,
    sorting,
)
from charrnn_core.javascript.block import Block
from charrnn_core.javascript.complex_numbers import COMPLEX, lower_complex
from charrnn_core.javascript.elementwise import ELEMENTWISE
from charrnn_core.javascript.inside import called
from charrnn_core.javascript.nodes import Operand, view
from charrnn_core.javascript.operations import LOWERINGS, Operation

Known = Mapping[Value, Operand]
"""The operands of values."""


def lower(equations: Sequence[Equation], known: Known, block: Block) -> dict[Value, Operand]:
    """Compile equations into a block, and return the operands of all values.

    Arguments:
        equations: in their order.
        known: the operands of what they read besides each other's results.
        block: where code is added.

    Raises:
        ExportError: there is no code for an equation; the message has its line.
    """
    operands = dict(known)
    for equation in equations:
        inputs = _inputs(equation, operands)
        results = _lowered(equation, inputs, block)
        operands.update(zip(equation.outputs, results, strict=True))
    return operands


def _inputs(equation: Equation, operands: Known) -> list[Operand]:
    variables = zip(equation.inputs, equation.source.invars, strict=True)
    return [operand_of(atom, operands, variable.aval) for atom, variable in variables]


def operand_of(atom: Atom, operands: Known, aval: Any) -> Operand:
    """Return the operand of an atom; a number written into the step has the type of `aval`."""
    if isinstance(atom, Literal):
        return Operand.known(np.asarray(atom.value, aval.dtype))
    return operands[atom]


def _lowered(equation: Equation, inputs: Sequence[Operand], block: Block) -> Sequence[Operand]:
    if all(operand.value is not None for operand in inputs):
        values = equation(*(operand.value for operand in inputs))  # type: ignore[arg-type]
        return [Operand.known(np.asarray(value)) for value in values]
    op = Operation(equation.source, inputs, block, lower_inside)
    if op.name in ELEMENTWISE | COMPLEX:
        stretched = [_stretched(operand, op.shapes[0]) for operand in inputs]
        op = replace(op, inputs=stretched)
    if op.name in COMPLEX and op.has_complex:
        return lower_complex(op)
    if op.name not in LOWERINGS:
        raise op.refused("it cannot be")
    return LOWERINGS[op.name](op)


def _stretched(operand: Operand, shape: tuple[int, ...]) -> Operand:
    """Return an operand in the shape of a result: it may have one element along an axis.

    >>> column = Operand.known(np.array([[1], [2]], np.int32))
    >>> _stretched(column, (2, 3)).node.value.tolist()
    [1, 1, 1, 2, 2, 2]
    """
    if operand.size == 1 or operand.shape == shape:
        return operand
    table = np.broadcast_to(operand.numbers, shape)
    nodes = tuple(view(node, table) for node in operand.nodes)
    value = None if operand.value is None else np.broadcast_to(operand.value, shape)
    return Operand(shape, operand.dtype, nodes, value)


def lower_inside(closed: ClosedJaxpr, operands: Sequence[Operand], block: Block) -> list[Operand]:
    """Compile what a loop or a branch calls into a block, and return its results."""
    arguments = [Value(v.aval, 0) for v in closed.jaxpr.invars]
    constants: Env = {}
    equations: list[Equation] = []
    atoms = flatten(closed, arguments, constants, equations, called)
    known = dict(zip(arguments, operands, strict=True))
    known.update((value, Operand.known(np.asarray(array))) for value, array in constants.items())
    found = lower(wanted(equations, atoms), known, block)
    outputs = zip(atoms, closed.jaxpr.outvars, strict=True)
    return [operand_of(atom, found, variable.aval) for atom, variable in outputs]
