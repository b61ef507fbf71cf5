"""What a step makes of its input alone: looked up by symbol, or computed from the input.

The input is one of V symbols, so what depends on nothing else has V values: a `Table` of them is
computed once. `InputValues` looks up what a table covers and computes the rest, for all steps of a
window at once, or for one step where the next input is not known yet, as in sampling.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Ids
from charrnn_core.engine.equations import (
    BEFORE,
    FIXED,
    HEAVY,
    Atom,
    Env,
    Equation,
    Value,
    read,
    run,
    wanted,
)
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Sum, as_product, run_over_time
from charrnn_core.engine.rowwise import RowTracker

_LARGEST_IDENTITY = 2**11
"""Symbols up to which one-hot products are recognised: it takes a look at a square matrix."""


class InputValues:
    """The values that depend on the input but not on the carry.

    Arguments:
        plan: the step's equations.
        once: values that are the same at every step.
        inputs: the leaves of the input: of one step, or of many, time first.
        table: what follows from each symbol, if the first leaf holds ids; else None.
        over_time: whether the inputs are those of many steps; the values then have time first too.
    """

    def __init__(
        self,
        plan: Plan,
        once: Env,
        inputs: Sequence[Array],
        table: "Table | None",
        over_time: bool,
    ) -> None:
        self._once, self._ids, self._table = once, inputs[0], table
        self._over_time = over_time
        self._values: Env = dict(zip(plan.inputs, inputs, strict=True))
        for equation in plan.before:
            if table is None or equation not in table.equations:
                self._run(equation)

    def __getitem__(self, value: Value) -> Array:
        if value not in self._values:
            assert self._table is not None
            self._values[value] = self._table.look_up(value, self._ids)
        return self._values[value]

    def extra(self, item: Sum) -> Array | None:
        """Return what is added to a sum's products: by step, the same at all steps, or None."""
        if not item.extra:
            return None
        if self._table is not None and self._table.covers(item):
            return self._table.look_up_extra(item, self._ids)
        by_step = {value: self[value] for value in item.extra_by_step}
        if self._over_time and by_step:
            return _over_time(item.add_extra, item.extra, self._once, by_step)
        return item.add_extra(*(read(self._once | by_step, atom) for atom in item.extra))

    def _run(self, equation: Equation) -> None:
        inputs = {v: self[v] for v in equation.values_read if v.kind == BEFORE}
        if self._over_time:
            env = run_over_time([equation], self._once, inputs)
        else:
            env = run([equation], self._once | inputs)
        self._values.update((value, env[value]) for value in equation.outputs)


class Table:
    """The values that follow from the id a step reads.

    The table of a product with one-hot symbols is the weight itself, so it costs nothing.

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
        self._extras: dict[Sum, Array] = {}
        ids = plan.inputs[0]
        batch = ids.aval.shape[0]
        # A step reads `batch` symbols at a time; the last ones are looked at more than once.
        every = np.minimum(np.arange(-(-symbols // batch) * batch), symbols - 1)
        every = every.reshape(-1, batch).astype(ids.aval.dtype)
        self.equations = frozenset(_row_by_row(plan, batch))
        self.costly = False
        known = _known_beforehand(plan, self.equations, every, symbols)
        self._values: dict[Value, Any] = {ids: every, **known}
        for equation in plan.before:
            if equation not in self.equations or equation.outputs[0] in known:
                continue
            product = as_product(equation, BEFORE)
            if product and product.plain and _is_identity(known.get(product.operand), symbols):
                self._values[equation.outputs[0]] = _rows_of(read(once, product.weight), every)
            else:
                self.costly |= equation.name in HEAVY
                self._values = run_over_time([equation], once, self._values)

    def look_up(self, value: Value, ids: Ids) -> Array:
        """Return the value for ``ids: int[..., B]``."""
        return _rows(self._values[value], ids)

    def covers(self, item: Sum) -> bool:
        """Say whether what is added to a sum's products by step follows from the id."""
        return bool(item.extra_by_step) and all(v in self._values for v in item.extra_by_step)

    def look_up_extra(self, item: Sum, ids: Ids) -> Array:
        """Return what is added to a sum that it `covers`, for ``ids: int[..., B]``."""
        return _rows(self._extras[item] if item in self._extras else self._extra(item), ids)

    def add_up_extras(self, sums: Iterable[Sum]) -> None:
        """Add up what is added to these sums, once for all steps that will look it up."""
        self._extras.update((item, self._extra(item)) for item in sums if self.covers(item))

    def _extra(self, item: Sum) -> Array:
        by_step = {value: self._values[value] for value in item.extra_by_step}
        return _over_time(item.add_extra, item.extra, self._once, by_step)


def table_if_cheaper(plan: Plan, once: Env, symbols: int, lookups: int) -> Table | None:
    """Return a table if it is cheaper than to compute the values of as many ids as `lookups`."""
    table = Table(plan, once, symbols)
    return table if symbols < lookups or not table.costly else None


def _rows(table: Array, ids: Ids) -> Array:
    """Return the rows of a table for ``ids: int[..., B]``."""
    return jnp.take(table.reshape(-1, *table.shape[2:]), ids, axis=0, mode="clip")


def _over_time(
    function: Callable[..., Array], atoms: Sequence[Atom], once: Env, by_step: Mapping[Any, Array]
) -> Array:
    """Return what a function makes of atoms at every step, time first."""
    axes = [0 if atom in by_step else None for atom in atoms]
    values = [by_step[atom] if atom in by_step else read(once, atom) for atom in atoms]
    return jax.vmap(function, in_axes=axes)(*values)


def _row_by_row(plan: Plan, batch: int) -> list[Equation]:
    """Return the equations that depend on the ids alone, one row for each."""
    rows = RowTracker(plan.inputs[0], batch)
    for equation in (*plan.fixed, *plan.once):
        rows.follow(equation)
    return [equation for equation in plan.before if rows.follow(equation)]


def _known_beforehand(
    plan: Plan, equations: frozenset[Equation], every: npt.NDArray[Any], symbols: int
) -> dict[Value, npt.NDArray[Any]]:
    """Return as numbers what may turn out to be one-hot symbols, and what these are made of.

    A program computes them, which takes a while to compile: no other numbers are worth it.
    """
    if symbols > _LARGEST_IDENTITY:
        return {}
    known = {plan.inputs[0]}
    found = []
    for equation in plan.before:
        values = [value for value in equation.values_read if value.kind != FIXED]
        if equation in equations and known.issuperset(values):
            known.update(equation.outputs)
            found.append(equation)
    found = wanted(found, _perhaps_one_hot(plan, symbols))
    fixed = wanted(plan.fixed, [atom for equation in found for atom in equation.inputs])
    outputs = [value for equation in found for value in equation.outputs]

    def numbers(every: Array) -> list[Array]:
        values = run_over_time(found, run(fixed, {}), {plan.inputs[0]: every})
        return [values[value] for value in outputs]

    with jax.ensure_compile_time_eval():
        arrays = jax.jit(numbers)(every) if found else []
    return dict(zip(outputs, map(np.asarray, arrays), strict=True))


def _perhaps_one_hot(plan: Plan, symbols: int) -> list[Value]:
    """Return the operands of plain products that are as wide as one-hot symbols."""
    products = (as_product(equation, BEFORE) for equation in plan.before)
    operands = (product.operand for product in products if product and product.plain)
    return [operand for operand in operands if operand.aval.shape[-1] == symbols]


def _rows_of(weight: Array, every: npt.NDArray[Any]) -> Array:
    """Return the row for each symbol in `every`, which are in order, the last perhaps repeated."""
    if every.size == len(weight):
        return weight.reshape(*every.shape, -1)
    return jnp.take(weight, every, axis=0, mode="clip")


def _is_identity(rows: npt.NDArray[Any] | None, symbols: int) -> bool:
    if rows is None or rows.ndim != 3 or rows.shape[-1] != symbols:
        return False
    return bool(np.array_equal(rows.reshape(-1, symbols)[:symbols], np.eye(symbols)))
