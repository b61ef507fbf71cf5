"""Operations on each element of complex numbers, which are two nodes: real and imaginary parts."""

from collections.abc import Callable, Sequence

import numpy as np

from charrnn_core.javascript.nodes import Constant, Node, Operand, is_complex, real_type, view
from charrnn_core.javascript.operations import Operation

_OF_ONE = {
    "neg": ("-{0}", "-{1}"),
    "conj": ("{0}", "-{1}"),
    "exp": ("Math.exp({0})*Math.cos({1})", "Math.exp({0})*Math.sin({1})"),
    "square": ("{0}*{0}-{1}*{1}", "2*{0}*{1}"),
    "convert_element_type": ("{0}", "{1}"),
    "log": ("Math.log(Math.hypot({0},{1}))", "Math.atan2({1},{0})"),
    "tanh": (
        "Math.sinh(2*{0})/(Math.cosh(2*{0})+Math.cos(2*{1}))",
        "Math.sin(2*{1})/(Math.cosh(2*{0})+Math.cos(2*{1}))",
    ),
}
_OF_TWO = {
    "add": ("{0}+{2}", "{1}+{3}"),
    "add_any": ("{0}+{2}", "{1}+{3}"),
    "sub": ("{0}-{2}", "{1}-{3}"),
    "mul": ("{0}*{2}-{1}*{3}", "{0}*{3}+{1}*{2}"),
    "div": (
        "({0}*{2}+{1}*{3})/({2}*{2}+{3}*{3})",
        "({1}*{2}-{0}*{3})/({2}*{2}+{3}*{3})",
    ),
}
_TO_REAL = {
    "real": "{0}",
    "imag": "{1}",
    "abs": "Math.hypot({0},{1})",
    "convert_element_type": "{0}",
    "eq": "+({0}==={2}&&{1}==={3})",
    "ne": "+({0}!=={2}||{1}!=={3})",
    "is_finite": "+(Number.isFinite({0})&&Number.isFinite({1}))",
}

COMPLEX = frozenset({*_OF_ONE, *_OF_TWO, *_TO_REAL, "complex", "integer_pow"})
"""Primitives on each element that complex numbers have."""


def lower_complex(op: Operation) -> Sequence[Operand]:
    """Add the loops of an operation with complex numbers in its operands or its result."""
    kind, size = real_type(op.dtypes[0]), int(np.prod(op.shapes[0]))
    names = [node for operand in op.inputs for node in _parts(operand)]

    def loop(template: str) -> Node:
        return op.elementwise(kind, template.format, *names, size=size)

    if op.name == "complex":
        return [op.result(*(_whole(op, operand) for operand in op.inputs))]
    if not is_complex(op.dtypes[0]):
        return [op.result(loop(_TO_REAL[op.name]))]
    if op.name == "integer_pow":
        exponent = op.params["y"]
        size_of, angle = f"Math.pow(Math.hypot({{0}},{{1}}),{exponent})", "Math.atan2({1},{0})"
        turn: Callable[[str], str] = lambda f: f"{size_of}*Math.{f}({exponent}*{angle})"  # noqa: E731
        return [op.result(loop(turn("cos")), loop(turn("sin")))]
    pair = (_OF_ONE if len(op.inputs) == 1 else _OF_TWO)[op.name]
    return [op.result(*map(loop, pair))]


def _whole(op: Operation, operand: Operand) -> Node:
    """Return a node with as many elements as the result, of an operand that may have one."""
    return view(operand.node, np.broadcast_to(operand.numbers, op.shapes[0]))


def _parts(operand: Operand) -> tuple[Node, ...]:
    if is_complex(operand.dtype):
        return operand.nodes
    return operand.node, Constant(np.zeros(1, np.float32))
