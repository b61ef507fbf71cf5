"""What an equation of a step calls, to be put in its place before the step is compiled."""

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, jaxpr_as_fun

from charrnn_core.arrays import Array
from charrnn_core.engine.equations import called_by_jit

_CALLS = {
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "composite": "jaxpr",
}


def called(equation: JaxprEqn) -> ClosedJaxpr | None:
    """Return what an equation computes by calling it once: also a scan over a single item."""
    if equation.primitive.name == "scan" and equation.params["length"] == 1:
        return _scanned_once(equation)
    if (inner := called_by_jit(equation)) is not None:
        return inner
    inner = equation.params.get(_CALLS.get(equation.primitive.name, ""))
    if inner is None or isinstance(inner, ClosedJaxpr):
        return inner
    return ClosedJaxpr(inner, ())


def _scanned_once(equation: JaxprEqn) -> ClosedJaxpr:
    body = jaxpr_as_fun(equation.params["jaxpr"])
    held = equation.params["num_consts"] + equation.params["num_carry"]

    def once(*args: Array) -> Sequence[Any]:
        items = (lax.index_in_dim(x, 0, keepdims=False) for x in args[held:])
        results = body(*args[:held], *items)
        count = equation.params["num_carry"]
        return [*results[:count], *(lax.expand_dims(y, (0,)) for y in results[count:])]

    return jax.make_jaxpr(once)(*(v.aval for v in equation.invars))
