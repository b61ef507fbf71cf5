"""One step after another where each input depends on the last output, as in sampling.

What needs the parameters alone is done once, and what needs the id alone is looked up in a table.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Carry, Leaves, Params, Tree
from charrnn_core.engine.equations import BEFORE, ONCE, Env, read, run
from charrnn_core.engine.fallback import attempt, is_limit, report
from charrnn_core.engine.forward import run_body
from charrnn_core.engine.lookup import InputValues, Table
from charrnn_core.engine.plan import make_plan
from charrnn_core.engine.products import Group
from charrnn_core.engine.trace import Step, Traced, trace

Prepared: TypeAlias = Callable[[Carry, Tree], tuple[Carry, Tree]]
"""A step as a function of ``carry, x``, whose parameters are known."""

T = TypeVar("T")


def prepare_step(
    step: Step, params: Params, carry: Carry, x: Tree, symbols: int, forced: bool = False
) -> Prepared:
    """Do what needs no carry of ``step(params, carry, x)``, for many steps that follow.

    Arguments:
        step: a pure function.
        params: a pytree.
        carry, x: what the function will get, or their shapes; first in x are ids, ``int[B]``.
        symbols: V; the ids are below it.
        forced: raise if the engine fails on the step, instead of going on without it.

    Returns:
        The step as a function of ``carry, x``.

    Raises:
        EngineError: the engine fails, and it was `forced`.

    >>> step = lambda W, h, ids: (jnp.tanh(h @ W + jax.nn.one_hot(ids, 3)),) * 2
    >>> h, ids = jnp.zeros((2, 3)), jnp.array([0, 2])
    >>> prepared = prepare_step(step, jnp.eye(3), h, ids, symbols=3)
    >>> bool(jnp.allclose(prepared(h, ids)[0], step(jnp.eye(3), h, ids)[0]))
    True
    """

    def by_engine() -> Prepared:
        traced = trace(step, params, carry, x)
        return partial(step, params) if traced.effects else _prepare(traced, params, symbols)

    def plainly() -> Prepared:
        jax.eval_shape(step, params, carry, x)
        return partial(step, params)

    def reported(result: T, fault: Exception | None) -> T:
        if fault is not None:
            report(fault, forced and not is_limit(fault))
        return result

    prepared = reported(*attempt(by_engine, plainly))
    return lambda carry, x: reported(
        *attempt(partial(prepared, carry, x), partial(step, params, carry, x))
    )


def _prepare(traced: Traced, params: Params, symbols: int) -> Prepared:
    plan = make_plan(traced)
    once: Env = dict(plan.constants)
    once.update(zip(plan.params, jax.tree.leaves(params), strict=True))
    once = run(plan.once, run(plan.fixed, once))
    table = Table(plan, once, symbols)
    weights = {group: group.weights(once) for group in plan.groups}
    consts = [once[value] for value in plan.used_in_loop(ONCE)]
    table.add_up_extras(item for group in plan.groups for item in group.sums)

    def prepared(carry: Carry, x: Tree) -> tuple[Carry, Tree]:
        values = InputValues(plan, once, jax.tree.leaves(x), table, over_time=False)

        def compute(group: Group, operands: Leaves, rest: list[Leaves]) -> Leaves:
            extras = [values.extra(item) for item in group.sums]
            return group.compute(operands, weights[group], extras, rest)

        inputs = [values[value] for value in plan.used_in_loop(BEFORE)]
        inside, after = run_body(plan, jax.tree.leaves(carry), inputs, consts, compute)
        env = once | inside | {value: values[value] for value in plan.used_after(BEFORE)}
        env = run(plan.after, env)
        outputs = [jnp.asarray(read(env, atom)) for atom in plan.outputs]
        return jax.tree.unflatten(traced.structure, [*after, *outputs])

    return prepared
