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


Shape = tuple[int, ...]


def held_and_carried(
    body: ClosedJaxpr, inputs: Sequence[Shape], outputs: Sequence[Shape]
) -> tuple[int, int]:
    """Return how many of a scan's inputs stay as they are, and how many come after those, a carry.

    The others have an axis more than what its body reads, and what is collected one more than what
    the body returns. Releases of JAX differ in how they say it themselves.
    """
    carried = sum(
        len(shape) == len(one.shape) for shape, one in zip(outputs, body.out_avals, strict=True)
    )
    whole = sum(
        len(shape) == len(one.shape) for shape, one in zip(inputs, body.in_avals, strict=True)
    )
    return whole - carried, carried


def _scanned_once(equation: JaxprEqn) -> ClosedJaxpr:
    inputs, outputs = _shapes(equation.invars), _shapes(equation.outvars)
    held, count = held_and_carried(equation.params["jaxpr"], inputs, outputs)
    held += count
    body = jaxpr_as_fun(equation.params["jaxpr"])

    def once(*args: Array) -> Sequence[Any]:
        items = (lax.index_in_dim(x, 0, keepdims=False) for x in args[held:])
        results = body(*args[:held], *items)
        return [*results[:count], *(lax.expand_dims(y, (0,)) for y in results[count:])]

    return jax.make_jaxpr(once)(*(v.aval for v in equation.invars))


def _shapes(values: Sequence[Any]) -> list[Shape]:
    return [value.aval.shape for value in values]
