"""A step as its equations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import jax

from charrnn_core.arrays import Array, Carry, Params, Structure, Tree
from charrnn_core.engine.equations import (
    BEFORE,
    LOOP,
    ONCE,
    Atom,
    Equation,
    Inside,
    Value,
    called_by_jit,
    flatten,
    wanted,
)

Step: TypeAlias = Callable[[Params, Carry, Tree], tuple[Carry, Tree]]
"""``step(params, carry, x) -> (carry, y)``, a pure function."""


@dataclass(frozen=True, eq=False)
class Traced:
    """What tracing ``step(params, carry, x) -> (carry, y)`` finds.

    Arguments:
        params, carry, inputs: the step's arguments, flat.
        carry_out, outputs: its results, flat.
        equations: in their order, without those that no result depends on.
        constants: values the step closed over.
        effects: whether it has side effects.
        structure: the structure of ``(carry, y)``.
    """

    params: tuple[Value, ...]
    carry: tuple[Value, ...]
    inputs: tuple[Value, ...]
    carry_out: tuple[Atom, ...]
    outputs: tuple[Atom, ...]
    equations: tuple[Equation, ...]
    constants: Mapping[Value, Array]
    effects: bool
    structure: Structure


def trace(
    step: Step, params: Params, carry: Carry, x: Tree, inside: Inside = called_by_jit
) -> Traced:
    """Trace a step; the arguments may be arrays or shapes.

    Arguments:
        inside: as for `flatten`.
    """
    closed, shapes = jax.make_jaxpr(step, return_shape=True)(params, carry, x)
    groups = [jax.tree.leaves(tree) for tree in (params, carry, x)]
    kinds = [k for k, leaves in zip((ONCE, LOOP, BEFORE), groups, strict=True) for _ in leaves]
    invars = closed.jaxpr.invars
    arguments = [Value(v.aval, kind) for v, kind in zip(invars, kinds, strict=True)]
    constants: dict[Value, Array] = {}
    equations: list[Equation] = []
    results = flatten(closed, arguments, constants, equations, inside)
    by_kind = {kind: tuple(a for a in arguments if a.kind == kind) for kind in (ONCE, LOOP, BEFORE)}
    count = len(by_kind[LOOP])
    return Traced(
        params=by_kind[ONCE],
        carry=by_kind[LOOP],
        inputs=by_kind[BEFORE],
        carry_out=tuple(results[:count]),
        outputs=tuple(results[count:]),
        equations=tuple(wanted(equations, results)),
        constants=constants,
        effects=bool(closed.jaxpr.effects),
        structure=jax.tree.structure(shapes),
    )
