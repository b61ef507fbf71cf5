"""What a step makes of each of V symbols: computed once per symbol, then looked up.

The table of a product with one-hot symbols is the weight itself, so it costs nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.engine.equations import (
    BEFORE,
    FIXED,
    HEAVY,
    Env,
    Equation,
    Value,
    read,
    run,
    wanted,
)
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Sum, as_product, run_over_time
from charrnn_core.engine.rowwise import Rows

_LARGEST_IDENTITY = 2**11
"""Symbols up to which one-hot products are recognised: it takes a look at a square matrix."""


class Table:
    """The values that follow from the id a step reads.

    Arguments:
        plan: the step's equations; its first input holds ids ``int[B]``.
        once: values that are the same at every step.
        symbols: V; the ids are below it.

    Fields:
        equations: those that the table stands for.
        costly: whether it took products or other heavy work to make.
    """

    def __init__(self, plan: Plan, once: Env, symbols: int) -> None:
        self._once = once
        ids = plan.inputs[0]
        batch = ids.aval.shape[0]
        # A step reads `batch` symbols at a time; the last ones are looked at more than once.
        every = np.minimum(np.arange(-(-symbols // batch) * batch), symbols - 1)
        every = every.reshape(-1, batch).astype(ids.aval.dtype)
        self.equations = frozenset(_row_by_row(plan, batch))
        self.costly = False
        known = (
            _known_beforehand(plan, self.equations, every) if symbols <= _LARGEST_IDENTITY else {}
        )
        self._values: Env = {ids: every, **known}
        for equation in plan.before:
            if equation not in self.equations or equation.outputs[0] in known:
                continue
            product = as_product(equation, BEFORE)
            if product and product.plain and _is_identity(known.get(product.operand), symbols):
                self._values[equation.outputs[0]] = _rows_of(read(once, product.weight), every)
            else:
                self.costly |= equation.name in HEAVY
                self._values = run_over_time([equation], once, self._values)

    def covers(self, values: Iterable[Value]) -> bool:
        """Whether all of them follow from the id."""
        return all(value in self._values for value in values)

    def look_up(self, value: Value, ids: Any) -> Any:
        """The value for ``ids: int[..., B]``."""
        return self.rows(self._values[value], ids)

    def extra(self, item: Sum) -> Any:
        """The table of what is added to a sum's products, where that follows from the id."""
        return extra_over_time(item, self._once, self._values)

    @staticmethod
    def rows(table: Any, ids: Any) -> Any:
        """The rows of a table for ``ids: int[..., B]``."""
        return jnp.take(table.reshape(-1, *table.shape[2:]), ids, axis=0, mode="clip")


def extra_over_time(item: Sum, once: Env, per_step: Mapping[Any, Any]) -> Any:
    """What is added to a sum's products at every step, time first."""
    axes = [0 if atom in per_step else None for atom in item.extra]
    values = [per_step[a] if a in per_step else read(once, a) for a in item.extra]
    return jax.vmap(item.add_extra, in_axes=axes)(*values)


def _row_by_row(plan: Plan, batch: int) -> list[Equation]:
    """The equations that depend on the ids alone, one row for each."""
    rows = Rows(plan.inputs[0], batch)
    for equation in (*plan.fixed, *plan.once):
        rows.follow(equation)
    return [equation for equation in plan.before if rows.follow(equation)]


def _known_beforehand(plan: Plan, equations: frozenset[Equation], every: Any) -> Env:
    """Those values that no parameter has a part in, such as one-hot symbols, as numbers."""
    known = {plan.inputs[0]}
    found = []
    for equation in plan.before:
        atoms = [a for a in equation.inputs if isinstance(a, Value) and a.kind != FIXED]
        if equation in equations and known.issuperset(atoms):
            known.update(equation.outputs)
            found.append(equation)
    fixed = wanted(plan.fixed, [atom for equation in found for atom in equation.inputs])

    def numbers(every: Any) -> list[Any]:
        values = run_over_time(found, run(fixed, {}), {plan.inputs[0]: every})
        return [values[value] for equation in found for value in equation.outputs]

    with jax.ensure_compile_time_eval():
        values = jax.jit(numbers)(every) if found else []
    outputs = [value for equation in found for value in equation.outputs]
    return dict(zip(outputs, map(np.asarray, values), strict=True))


def _rows_of(weight: Any, every: Any) -> Any:
    """The row for each symbol in `every`, which are all in order, the last perhaps repeated."""
    if every.size == len(weight):
        return weight.reshape(*every.shape, -1)
    return jnp.take(weight, every, axis=0, mode="clip")


def _is_identity(rows: Any, symbols: int) -> bool:
    if rows is None or rows.ndim != 3 or rows.shape[-1] != symbols:
        return False
    return bool(np.array_equal(rows.reshape(-1, symbols)[:symbols], np.eye(symbols)))
