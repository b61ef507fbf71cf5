"""Whether an equation treats every row by itself, and all rows alike.

The primitive and its parameters decide, not the lengths of axes: two axes may be equally long.
What is not listed here counts as mixing rows, which costs speed but never exactness.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jax.extend.core import JaxprEqn

from charrnn_core.engine.equations import BEFORE, Atom, Equation, Literal, Value

_ELEMENTWISE = frozenset(
    "abs acos acosh add and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy "
    "cos cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log "
    "log1p logistic lt max min mul ne neg nextafter not or pow rem round rsqrt select_n "
    "shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square "
    "stop_gradient sub tan tanh xor".split()
)

_KEEPS_FIRST_AXIS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "broadcast_in_dim": lambda p: p["broadcast_dimensions"][:1] == (0,),
    "concatenate": lambda p: p["dimension"] != 0,
    "cumsum": lambda p: p["axis"] != 0,
    "pad": lambda p: tuple(p["padding_config"][0]) == (0, 0, 0),
    "reshape": lambda p: p["dimensions"] is None,
    "slice": lambda p: p["start_indices"][0] == 0 and (p["strides"] or (1,))[0] == 1,
    "split": lambda p: p["axis"] != 0,
    "squeeze": lambda p: 0 not in p["dimensions"],
    "transpose": lambda p: p["permutation"][0] == 0,
    **dict.fromkeys(
        ("argmax", "argmin", "reduce_max", "reduce_min", "reduce_prod", "reduce_sum"),
        lambda p: 0 not in p["axes"],
    ),
}
"""By primitive, whether the first axis keeps its meaning if it keeps its length."""

_CHANGING, _ALIKE = "changing", "alike"


class RowTracker:
    """Keeps track of the values with a row for each stream that comes from its own id alone.

    Arguments:
        ids: a value with such rows, and nothing else.
        count: how many rows there are.
    """

    def __init__(self, ids: Atom, count: int) -> None:
        self._count = count
        self._of: dict[Atom, str] = {ids: _CHANGING}

    def follow(self, equation: Equation) -> bool:
        """Note what an equation's results are, and say whether they are such rows.

        Follow equations in their order, including those that do not read the input.
        """
        if any(atom.kind == BEFORE and atom not in self._of for atom in equation.inputs):
            return False
        kinds = [self._kind(atom) for atom in equation.inputs]
        has_rows = all(v.aval.shape[:1] == (self._count,) for v in equation.outputs)
        if not has_rows or not self._treats_rows_alike(equation, kinds):
            return False
        result = _CHANGING if _CHANGING in kinds else _ALIKE
        self._of.update(dict.fromkeys(equation.outputs, result))
        return result == _CHANGING

    def _kind(self, atom: Atom) -> str | None:
        """Return whether rows change from id to id or are all alike; None for neither."""
        shape = () if isinstance(atom, Literal) else atom.aval.shape
        return _ALIKE if shape[:1] in ((), (1,)) and atom not in self._of else self._of.get(atom)

    def _treats_rows_alike(self, equation: Equation, kinds: list[str | None]) -> bool:
        name, params = equation.name, equation.source.params
        if name == "dot_general":
            contract, batch = params["dimension_numbers"]
            from_left = kinds[0] is not None and kinds[1] != _CHANGING
            return from_left and 0 not in contract[0] and batch == ((), ())
        if name == "gather":  # rows of a table, looked up
            axes = params["dimension_numbers"]
            looked_up = kinds[1] == _CHANGING and kinds[0] != _CHANGING
            return looked_up and 0 not in axes.offset_dims and not axes.operand_batching_dims
        if name == "iota":
            return params["dimension"] != 0
        if name == "broadcast_in_dim" and params["broadcast_dimensions"][:1] != (0,):
            return _CHANGING not in kinds
        if None in kinds:
            return False
        if name in _KEEPS_FIRST_AXIS:
            arrays = [a for a in equation.inputs if isinstance(a, Value) and a.aval.ndim]
            whole = all(atom in self._of for atom in arrays) or name == "broadcast_in_dim"
            return whole and _KEEPS_FIRST_AXIS[name](params)
        return _is_elementwise(equation.source)


def _is_elementwise(source: JaxprEqn) -> bool:
    name, params = source.primitive.name, source.params
    inner = params.get({"jit": "jaxpr", "custom_jvp_call": "call_jaxpr"}.get(name, ""))
    if inner is None:
        return name in _ELEMENTWISE
    return all(_is_elementwise(equation) for equation in inner.jaxpr.eqns)
