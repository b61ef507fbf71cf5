"""Operations on each element of real numbers, integers and booleans."""

from collections.abc import Sequence

import numpy as np

from charrnn_core.javascript.block import number
from charrnn_core.javascript.nodes import Expression, Operand
from charrnn_core.javascript.operations import Operation, lowers

_OF_ONE = {
    "acos": "Math.acos({0})",
    "acosh": "Math.acosh({0})",
    "asin": "Math.asin({0})",
    "asinh": "Math.asinh({0})",
    "atan": "Math.atan({0})",
    "atanh": "Math.atanh({0})",
    "abs": "Math.abs({0})",
    "cbrt": "Math.cbrt({0})",
    "ceil": "Math.ceil({0})",
    "cos": "Math.cos({0})",
    "cosh": "Math.cosh({0})",
    "erf": "1-erfc({0})",
    "erfc": "erfc({0})",
    "exp": "Math.exp({0})",
    "exp2": "Math.pow(2,{0})",
    "expm1": "Math.expm1({0})",
    "floor": "Math.floor({0})",
    "is_finite": "+Number.isFinite({0})",
    "log": "Math.log({0})",
    "log1p": "Math.log1p({0})",
    "logistic": "1/(1+Math.exp(-{0}))",
    "neg": "-{0}",
    "rsqrt": "1/Math.sqrt({0})",
    "sign": "Math.sign({0})",
    "sin": "Math.sin({0})",
    "sinh": "Math.sinh({0})",
    "sqrt": "Math.sqrt({0})",
    "square": "{0}*{0}",
    "tan": "Math.tan({0})",
    "tanh": "Math.tanh({0})",
}
_OF_TWO = {
    "add": "{0}+{1}",
    "add_any": "{0}+{1}",
    "and": "{0}&{1}",
    "atan2": "Math.atan2({0},{1})",
    "div": "{0}/{1}",
    "eq": "+({0}==={1})",
    "ge": "+({0}>={1})",
    "gt": "+({0}>{1})",
    "le": "+({0}<={1})",
    "lt": "+({0}<{1})",
    "max": "Math.max({0},{1})",
    "min": "Math.min({0},{1})",
    "mul": "{0}*{1}",
    "ne": "+({0}!=={1})",
    "or": "{0}|{1}",
    "pow": "Math.pow({0},{1})",
    "rem": "{0}%{1}",
    "shift_left": "({1}<32?{0}<<{1}:0)",
    "shift_right_arithmetic": "{0}>>Math.min({1},31)",
    "shift_right_logical": "({1}<32?{0}>>>{1}:0)",
    "sub": "{0}-{1}",
    "xor": "{0}^{1}",
}
_OF_INTEGERS = {
    "integer_pow": "",
    "mul": "Math.imul({0},{1})",
    "not": "~{0}",
    "square": "Math.imul({0},{0})",
    "clz": "Math.clz32({0})",
}
_OF_BOOLEANS = {"not": "{0}^1"}

_WRAPPED = {
    "int8": "({0})<<24>>24",
    "int16": "({0})<<16>>16",
    "int32": "({0})|0",
    "uint8": "({0})&255",
    "uint16": "({0})&65535",
    "uint32": "({0})>>>0",
    "bfloat16": "bfloat16({0})",
    "float16": "float16({0})",
}
"""How a result is brought into its type; other types need nothing."""

_BOUNDS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
}

ELEMENTWISE = frozenset(
    {*_OF_ONE, *_OF_TWO, *_OF_INTEGERS, *_OF_BOOLEANS, "clamp", "select_n", "convert_element_type"}
)
"""Primitives that make an element of the same element of each operand."""


def is_integer(dtype: str) -> bool:
    """Say whether a type is one of integers; booleans are not."""
    return dtype in _BOUNDS


def in_type(dtype: str, expression: Expression) -> Expression:
    """Return an expression whose value is wrapped or rounded into a type.

    >>> in_type("int32", "{}+{}".format)("a", "b"), in_type("float32", "{}+{}".format)("a", "b")
    ('(a+b)|0', 'a+b')
    """
    wrapper = _WRAPPED.get(dtype)
    return expression if wrapper is None else lambda *names: wrapper.format(expression(*names))


@lowers(*_OF_ONE, *_OF_TWO, *_OF_INTEGERS, *_OF_BOOLEANS)
def _by_table(op: Operation) -> Sequence[Operand]:
    kind = op.inputs[0].dtype
    if op.name == "integer_pow":
        return [element_by_element(op, _power(op.params["y"], is_integer(kind)))]
    if is_integer(kind):
        template = _OF_INTEGERS.get(op.name) or {**_OF_ONE, **_OF_TWO}.get(op.name)
    elif kind == "bool":
        template = _OF_BOOLEANS.get(op.name) or _OF_TWO.get(op.name)
    else:
        template = {**_OF_ONE, **_OF_TWO}.get(op.name)
    if template is None or (kind == "uint32" and op.name == "shift_right_arithmetic"):
        raise op.refused(f"{op.name} of {kind} cannot be")
    return [element_by_element(op, template.format)]


def element_by_element(op: Operation, expression: Expression) -> Operand:
    """Return the result of an operation on each element of operands that are not complex."""
    dtype = op.dtypes[0]
    nodes = [operand.node for operand in op.inputs]
    size = int(np.prod(op.shapes[0]))
    return op.result(op.elementwise(dtype, in_type(dtype, expression), *nodes, size=size))


def _power(exponent: int, integer: bool) -> Expression:
    if integer and exponent >= 0:

        def product(a: str) -> str:
            result = "1"
            for _ in range(exponent):
                result = f"Math.imul({result},{a})"
            return result

        return product
    if exponent == 2:
        return "{0}*{0}".format
    return f"Math.pow({{0}},{exponent})".format


@lowers("clamp")
def _clamp(op: Operation) -> Sequence[Operand]:
    return [element_by_element(op, "Math.min(Math.max({1},{0}),{2})".format)]


@lowers("select_n")
def _select(op: Operation) -> Sequence[Operand]:
    which, *cases = op.inputs

    def chosen(which: str, *cases: str) -> str:
        found = cases[-1]
        for i in reversed(range(len(cases) - 1)):
            found = f"{which}==={i}?{cases[i]}:{found}"
        return found

    parts = zip(*(case.nodes for case in cases), strict=True)
    size, kind = op.inputs[1].size, cases[0].nodes[0].dtype
    return [
        op.result(*(op.elementwise(kind, chosen, which.node, *some, size=size) for some in parts))
    ]


@lowers("round")
def _round(op: Operation) -> Sequence[Operand]:
    to_even = int(op.params["rounding_method"]) == 1
    away = "Math.sign({0})*Math.floor(Math.abs({0})+0.5)"
    return [element_by_element(op, ("roundToEven({0})" if to_even else away).format)]


@lowers("reduce_precision")
def _reduce_precision(op: Operation) -> Sequence[Operand]:
    kept = op.params["exponent_bits"], op.params["mantissa_bits"]
    rounded = {(8, 23): "{0}", (8, 7): "bfloat16({0})", (5, 10): "float16({0})"}.get(kept)
    if rounded is None:
        raise op.refused(f"rounding to {kept[0]} and {kept[1]} bits cannot be")
    return [element_by_element(op, rounded.format)]


@lowers("convert_element_type")
def _convert(op: Operation) -> Sequence[Operand]:
    (source,), target = op.inputs, op.dtypes[0]
    if target == "bool":
        expression: Expression = "+({0}!==0)".format
    elif is_integer(target) and not is_integer(source.dtype) and source.dtype != "bool":
        low, high = map(number, _BOUNDS[target])
        expression = f"Math.trunc(Math.min(Math.max({{0}}||0,{low}),{high}))".format
    elif source.dtype == target:
        return [op.result(*source.nodes)]
    else:
        expression = "{0}".format
    return [element_by_element(op, expression)]


@lowers("bitcast_convert_type")
def _bitcast(op: Operation) -> Sequence[Operand]:
    source, target = op.inputs[0].dtype, op.dtypes[0]
    words = {"int32", "uint32"}
    if source == "float32" and target in words:
        return [element_by_element(op, "bitsOf({0})".format)]
    if source in words and target == "float32":
        return [element_by_element(op, "ofBits({0})".format)]
    if {source, target} <= words:
        return [element_by_element(op, "{0}".format)]
    raise op.refused(f"the bits of {source} as {target} cannot be")


@lowers("copy", "copy_p", "stop_gradient", "optimization_barrier", "name", "sharding_constraint")
def _same(op: Operation) -> Sequence[Operand]:
    return [op.result(*x.nodes, output=i) for i, x in enumerate(op.inputs)]
