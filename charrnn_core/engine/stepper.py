"""One step after another where each input depends on the last output, as in sampling.

What needs the parameters alone is done once, and what needs the id alone is looked up in a table.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.engine.equations import BEFORE, ONCE, Env, Value, read, run
from charrnn_core.engine.fallback import attempt, is_limit, report
from charrnn_core.engine.lookup import Table
from charrnn_core.engine.loop import run_body
from charrnn_core.engine.plan import make_plan
from charrnn_core.engine.products import Sum
from charrnn_core.engine.trace import Step, Traced, trace

Prepared = Callable[[Any, Any], tuple[Any, Any]]


def prepare_step(
    step: Step, params: Any, carry: Any, ids: Any, symbols: int, forced: bool = False
) -> Prepared:
    """``step(params, carry, ids)`` as a function of ``carry, ids`` that has done what it could.

    Arguments:
        step: a pure function.
        params: a pytree.
        carry, ids: what the function will get, or their shapes; ``ids: int[B]``.
        symbols: V; the ids are below it.
        forced: raise if the engine fails on the step, instead of going on without it.

    Raises:
        EngineError: it was `forced`.

    >>> step = lambda W, h, ids: (jnp.tanh(h @ W + jax.nn.one_hot(ids, 3)),) * 2
    >>> h, ids = jnp.zeros((2, 3)), jnp.array([0, 2])
    >>> prepared = prepare_step(step, jnp.eye(3), h, ids, symbols=3)
    >>> bool(jnp.allclose(prepared(h, ids)[0], step(jnp.eye(3), h, ids)[0]))
    True
    """

    def by_engine() -> Prepared:
        traced = trace(step, params, carry, ids)
        return partial(step, params) if traced.effects else _prepare(traced, params, symbols)

    def plainly() -> Prepared:
        jax.eval_shape(step, params, carry, ids)
        return partial(step, params)

    def told(result: Any, fault: Exception | None) -> Any:
        if fault is not None:
            report(fault, forced and not is_limit(fault))
        return result

    prepared = told(*attempt(by_engine, plainly))
    return lambda carry, ids: told(
        *attempt(partial(prepared, carry, ids), partial(step, params, carry, ids))
    )


def _prepare(traced: Traced, params: Any, symbols: int) -> Prepared:
    plan = make_plan(traced)
    once: Env = dict(plan.constants)
    once.update(zip(plan.params, jax.tree.leaves(params), strict=True))
    once = run(plan.once, run(plan.fixed, once))
    table = Table(plan, once, symbols)
    weights = [group.weights(once) for group in plan.groups]
    consts = [once[value] for value in plan.used_in_loop(ONCE)]
    sums = [item for group in plan.groups for item in group.sums if _changing(item)]
    extras_by_id = {s: table.extra(s) for s in sums if table.covers(_changing(s))}
    rest = [equation for equation in plan.before if equation not in table.equations]

    def prepared(carry: Any, ids: Any) -> tuple[Any, Any]:
        env: Env = once | {plan.inputs[0]: ids}

        def known(value: Value) -> Any:
            return env[value] if value in env else table.look_up(value, ids)

        for equation in rest:
            needed = [a for a in equation.inputs if isinstance(a, Value)]
            env.update((value, known(value)) for value in needed)
            equation.run(env)

        def extra(item: Sum) -> Any:
            if item in extras_by_id:
                return table.rows(extras_by_id[item], ids)
            per_step = {value: known(value) for value in _changing(item)}
            return item.add_extra(*(read(env | per_step, atom) for atom in item.extra))

        def totals(i: int, operands: list[Any], rest: list[list[Any]]) -> list[Any]:
            group = plan.groups[i]
            extras = [extra(item) if item.extra else None for item in group.sums]
            return group.finish(group.multiply(operands, weights[i]), extras, rest)

        inputs = [known(value) for value in plan.used_in_loop(BEFORE)]
        inside, after = run_body(plan, jax.tree.leaves(carry), inputs, consts, totals)
        env.update(inside)
        env.update((value, known(value)) for value in plan.used_after(BEFORE))
        env = run(plan.after, env)
        outputs = [jnp.asarray(read(env, atom)) for atom in plan.outputs]
        return jax.tree.unflatten(traced.structure, [*after, *outputs])

    return prepared


def _changing(item: Sum) -> list[Value]:
    """What is added to a sum's products and depends on the id."""
    return [a for a in item.extra if isinstance(a, Value) and a.kind == BEFORE]
