"""What the input alone decides, for all steps at once.

An input of V symbols is tabulated: what depends on it is computed once per symbol and looked up,
and its gradient is added up per symbol.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.equations import BEFORE, Env, Value, read
from charrnn_core.plan import Plan
from charrnn_core.products import Sum, run_over_time


class Before:
    """The values that depend on the input but not on the carry, time first.

    Arguments:
        plan: the step's equations.
        once: values that are the same at every step.
        inputs: the input's leaves, time first.
        symbols: V, if the first leaf holds ids ``int[T,B]`` of so many symbols; else None.
    """

    def __init__(self, plan: Plan, once: Env, inputs: list[Any], symbols: int | None) -> None:
        self._once = once
        ids = inputs[0]
        tabulated = set()
        if symbols is not None and symbols < ids.size:
            tabulated = _row_by_row(plan, batch=ids.shape[1])
        by_symbol = [e for e in plan.before if tabulated.issuperset(e.outputs)]
        self._look_up: Callable[[Any], Any] | None = None
        self._table: Env = {}
        if by_symbol and symbols is not None:
            rows = -(-symbols // ids.shape[1])
            every = jnp.arange(rows * ids.shape[1], dtype=ids.dtype).reshape(rows, ids.shape[1])
            every = jnp.minimum(every, symbols - 1)
            self._table = run_over_time(by_symbol, once, {plan.inputs[0]: every})
            del self._table[plan.inputs[0]]
            self._look_up = lambda table: jnp.take(
                table.reshape(-1, *table.shape[2:]), ids, axis=0, mode="clip"
            )
        self._values: Env = dict(zip(plan.inputs, inputs, strict=True))
        rest = [e for e in plan.before if e not in by_symbol]
        for equation in rest:
            for atom in equation.inputs:
                if isinstance(atom, Value) and atom.kind == BEFORE:
                    self._values.setdefault(atom, self[atom])
            self._values = run_over_time([equation], once, self._values)

    def __getitem__(self, value: Value) -> Any:
        if value not in self._values:
            assert self._look_up is not None
            self._values[value] = self._look_up(self._table[value])
        return self._values[value]

    def extra(self, item: Sum) -> Any:
        """What is added to a sum's products: per step, the same for all steps, or nothing."""
        if not item.extra:
            return None
        if item.extra_kind != BEFORE:
            return item.add_extra(*(read(self._once, atom) for atom in item.extra))
        changing = [a for a in item.extra if isinstance(a, Value) and a.kind == BEFORE]
        if self._look_up is not None and all(atom in self._table for atom in changing):
            return self._look_up(self._over(item, self._table))
        return self._over(item, {atom: self[atom] for atom in changing})

    def _over(self, item: Sum, values: Mapping[Any, Any]) -> Any:
        axes = [0 if atom in values else None for atom in item.extra]
        arguments = [values[a] if a in values else read(self._once, a) for a in item.extra]
        return jax.vmap(item.add_extra, in_axes=axes)(*arguments)


def _row_by_row(plan: Plan, batch: int) -> set[Value]:
    """Values that depend on the ids alone, one row for each.

    That a row depends on its own id is the contract of a cell: batch rows are independent.
    """
    found = {plan.inputs[0]}
    for equation in plan.before:
        changing = {a for a in equation.inputs if isinstance(a, Value) and a.kind == BEFORE}
        rows = all(v.aval.ndim and v.aval.shape[0] == batch for v in equation.outputs)
        if changing <= found and rows:
            found.update(equation.outputs)
    return found
