"""What the input alone decides, for all steps at once; by a table where symbols are few."""

from typing import Any

from charrnn_core.engine.equations import BEFORE, Env, Value, read
from charrnn_core.engine.lookup import Table, extra_over_time
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Sum, run_over_time


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
        self._ids = inputs[0]
        self._table = None if symbols is None else _if_worth_it(plan, once, symbols, inputs[0].size)
        self._values: Env = dict(zip(plan.inputs, inputs, strict=True))
        for equation in plan.before:
            if self._table is not None and equation in self._table.equations:
                continue
            for atom in equation.inputs:
                if isinstance(atom, Value) and atom.kind == BEFORE:
                    self[atom]
            self._values = run_over_time([equation], once, self._values)

    def __getitem__(self, value: Value) -> Any:
        if value not in self._values:
            assert self._table is not None
            self._values[value] = self._table.look_up(value, self._ids)
        return self._values[value]

    def extra(self, item: Sum) -> Any:
        """What is added to a sum's products: per step, the same for all steps, or nothing."""
        if not item.extra:
            return None
        if item.extra_kind != BEFORE:
            return item.add_extra(*(read(self._once, atom) for atom in item.extra))
        changing = [a for a in item.extra if isinstance(a, Value) and a.kind == BEFORE]
        if self._table is not None and self._table.covers(changing):
            return self._table.rows(self._table.extra(item), self._ids)
        return extra_over_time(item, self._once, {atom: self[atom] for atom in changing})


def _if_worth_it(plan: Plan, once: Env, symbols: int, looked_up: int) -> Table | None:
    """A table if it is cheaper than doing without."""
    table = Table(plan, once, symbols)
    return table if symbols < looked_up or not table.costly else None
