"""The loop of a plan, with a backward pass that leaves the weights alone.

Differentiating ``lax.scan`` adds up every weight's gradient inside the backward loop. Here the
backward loop only carries the gradient of the carry; it writes down the gradient of every sum
``s = l W + e``, and one product over all steps then gives the gradient of W. What is saved on the
way forward is the sums and the carry; elementwise work is done again.

It is a `jax.custom_vjp`: it can be differentiated in reverse, but not forward.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.equations import BEFORE, FIXED, ONCE, Env, Value, read, run
from charrnn_core.plan import Plan
from charrnn_core.products import Group


class Feed(NamedTuple):
    """What the loop reads besides the carry.

    Fields:
        weights: for every group the weights of its products.
        extras: for every group and each of its sums what is added: per step, or the same for all
            steps, or None.
        consts: values that are the same at every step.
        inputs: values that differ from step to step, time first.
    """

    weights: list[list[Any]]
    extras: list[list[Any]]
    consts: list[Any]
    inputs: list[Any]


class Trace(NamedTuple):
    """What the loop leaves behind for its backward pass, time first.

    Fields:
        saved: the values of `_saved`.
        sums: for every group the value of each of its sums, without what the loop adds.
    """

    saved: list[Any]
    sums: list[list[Any]]


Total = Callable[[int, list[Any]], list[Any]]
"""From a group's number and its operands to the values of its sums."""


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def loop(plan: Plan, length: int, feed: Feed, carry: list[Any]) -> Any:
    """Run the plan's loop for `length` steps.

    Returns:
        The carry after the last step, and ``plan.stacked`` at every step.
    """
    after, trace = _scan(plan, length, feed, carry, plan.stacked)
    return after, trace.saved


def _forward(plan: Plan, length: int, feed: Feed, carry: list[Any]) -> Any:
    after, trace = _scan(plan, length, feed, carry, _saved(plan))
    return (after, trace.saved[: len(plan.stacked)]), (feed, carry, trace)


def _backward(plan: Plan, length: int, residuals: Any, cotangents: Any) -> tuple[Feed, list[Any]]:
    feed, carry, trace = residuals
    carry_ct, stacked_ct = cotangents
    befores = _before_each_step(plan, carry, trace.saved)
    consts = _only_inexact(feed.consts)
    # A small constant's gradient is written down at every step, a large one's added up.
    most = 4 * max((leaf.size for leaf in carry), default=1)
    written = [const.size <= most for const in consts]
    # Turned here and kept so: the loop would otherwise read a transposed weight at every step.
    turned = jax.lax.optimization_barrier(
        [
            [p.turned(w) for p, w in zip(group.sums[0].products, row, strict=True)]
            for group, row in zip(plan.groups, feed.weights, strict=True)
        ]
    )

    def step(gradients: Any, item: Any) -> Any:
        carry_ct, added = gradients
        before, inputs, sums, stacked_ct = item
        pull = _pull_step(plan, feed.consts, turned, before, inputs, sums)
        carry_ct, input_ct, const_ct, sum_ct = pull((carry_ct, stacked_ct))
        mine = [ct for ct, w in zip(const_ct, written, strict=True) if not w]
        added = [total + ct for total, ct in zip(added, mine, strict=True)]
        notes = [ct for ct, w in zip(const_ct, written, strict=True) if w]
        return (carry_ct, added), (input_ct, notes, sum_ct)

    zeros = [jnp.zeros_like(c) for c, w in zip(consts, written, strict=True) if not w]
    stacked = trace.saved[: len(plan.stacked)]
    items = (befores, feed.inputs, trace.sums, _only_inexact(stacked_ct, stacked))
    (carry_ct, added), (input_ct, notes, sum_ct) = jax.lax.scan(
        step, (_only_inexact(carry_ct, carry), zeros), items, length, reverse=True
    )
    rest, noted = iter(added), (jnp.sum(ct, axis=0) for ct in notes)
    gradient = Feed(
        _weight_gradients(plan, feed, befores, trace.sums, sum_ct),
        [_extra_gradients(g, ct) for g, ct in zip(plan.groups, sum_ct, strict=True)],
        _with_float0(feed.consts, [next(noted) if w else next(rest) for w in written]),
        _with_float0(feed.inputs, input_ct),
    )
    return gradient, _with_float0(carry, carry_ct)


loop.defvjp(_forward, _backward)


def _body(
    plan: Plan, carry: Sequence[Any], inputs: Sequence[Any], consts: Sequence[Any], total: Total
) -> tuple[Env, list[Any]]:
    """One step's equations; `total` gives the sums of a group. All values, and the next carry."""
    env: Env = dict(zip(plan.carry, carry, strict=True))
    env.update(zip(plan.used_in_loop(BEFORE), inputs, strict=True))
    env.update(zip(plan.used_in_loop(ONCE), consts, strict=True))
    env = run(plan.fixed, env)
    groups = 0
    for item in plan.loop:
        if isinstance(item, Group):
            totals = total(groups, [env[operand] for operand in item.operands])
            groups += 1
            for part, value in zip(item.sums, totals, strict=True):
                env[part.output] = sum((read(env, atom) for atom in part.rest), start=value)
        else:
            item.run(env)
    after = [
        jnp.broadcast_to(jnp.asarray(read(env, atom), leaf.dtype), leaf.shape)
        for atom, leaf in zip(plan.carry_out, carry, strict=True)
    ]
    return env, after


def _scan(
    plan: Plan, length: int, feed: Feed, carry: list[Any], save: Sequence[Value]
) -> tuple[list[Any], Trace]:
    once = _of_kind(plan, feed.extras, ONCE)

    def step(carry: Any, item: Any) -> Any:
        inputs, per_step = item
        sums: list[list[Any]] = []

        def total(i: int, operands: list[Any]) -> list[Any]:
            products = plan.groups[i].multiply(operands, feed.weights[i])
            extras = [a if b is None else b for a, b in zip(per_step[i], once[i], strict=True)]
            sums.append([p if e is None else p + e for p, e in zip(products, extras, strict=True)])
            return sums[i]

        env, after = _body(plan, carry, inputs, feed.consts, total)
        return after, Trace([env[value] for value in save], sums)

    items = (feed.inputs, _of_kind(plan, feed.extras, BEFORE))
    return jax.lax.scan(step, carry, items, length)


def _of_kind(plan: Plan, extras: list[list[Any]], kind: int) -> list[list[Any]]:
    """The extras of that kind; None in place of the others."""
    return [
        [e if item.extra_kind == kind else None for item, e in zip(group.sums, row, strict=True)]
        for group, row in zip(plan.groups, extras, strict=True)
    ]


def _saved(plan: Plan) -> tuple[Value, ...]:
    """``plan.stacked``, then the carry leaves before a step that these do not already tell.

    The carry before a step is the carry after the one before, which is often an output.
    """
    told = set(plan.stacked)
    pairs = zip(plan.carry, plan.carry_out, strict=True)
    return (*plan.stacked, *(b for b, a in pairs if b not in told and a not in told))


def _before_each_step(plan: Plan, carry: list[Any], saved: list[Any]) -> list[Any]:
    known: dict[Any, Any] = dict(zip(_saved(plan), saved, strict=True))
    return [
        known[before] if before in known else jnp.concatenate([start[None], known[after][:-1]])
        for start, before, after in zip(carry, plan.carry, plan.carry_out, strict=True)
    ]


def _pull_step(
    plan: Plan, consts: Any, turned: Any, before: Any, inputs: Any, sums: Any
) -> Callable[[Any], Any]:
    """The vjp of one step, its products replaced by the sums that were saved.

    It takes the gradients of the next carry and of ``plan.stacked``, and gives those of the carry,
    the inputs, the constants and each group's sums.
    """

    def outputs(carry: Any, inputs_: Any, consts_: Any, probes: Any) -> Any:
        def total(i: int, operands: list[Any]) -> list[Any]:
            return _recall(plan.groups[i], operands, turned[i], sums[i], probes[i])

        env, after = _body(
            plan, _merged(before, carry), _merged(inputs, inputs_), _merged(consts, consts_), total
        )
        return _only_inexact(after), _only_inexact([env[value] for value in plan.stacked])

    probes = [jnp.zeros_like(g.join(s)) for g, s in zip(plan.groups, sums, strict=True)]
    free = (_only_inexact(before), _only_inexact(inputs), _only_inexact(consts), probes)
    return jax.vjp(outputs, *free)[1]


def _recall(group: Group, operands: Any, turned: Any, totals: Any, probe: Any) -> Any:
    """The saved sums in place of the products, but with the products' gradient.

    The gradient of `probe` is that of the sums, side by side.
    """

    @jax.custom_vjp
    def recall(operands: Any, turned: Any, totals: Any, probe: Any) -> Any:
        return totals

    def forward(operands: Any, turned: Any, totals: Any, probe: Any) -> Any:
        return totals, (operands, turned, totals)

    def backward(residuals: Any, totals_ct: Any) -> Any:
        operands, turned, totals = residuals
        ct = group.join(totals_ct)
        back = [
            product.operand_gradient(operand, weight, ct)
            for product, operand, weight in zip(
                group.sums[0].products, operands, turned, strict=True
            )
        ]
        return back, *jax.tree.map(jnp.zeros_like, (turned, totals)), ct

    recall.defvjp(forward, backward)
    return recall(operands, turned, totals, probe)


def _weight_gradients(
    plan: Plan, feed: Feed, befores: Any, sums: Any, sum_ct: Any
) -> list[list[Any]]:
    """One product over all steps per weight, from the operands and the gradients of the sums."""

    def operands_of(before: Any, inputs: Any, sums: Any) -> list[list[Any]]:
        seen: list[list[Any]] = []

        def total(i: int, operands: list[Any]) -> list[Any]:
            seen.append(operands)
            return sums[i]

        _body(plan, before, inputs, feed.consts, total)
        return seen

    operands = jax.vmap(operands_of)(befores, feed.inputs, sums)
    return [
        [
            product.weight_gradient(operand, weight, ct)
            for product, operand, weight in zip(group.sums[0].products, row, weights, strict=True)
        ]
        for group, row, weights, ct in zip(plan.groups, operands, feed.weights, sum_ct, strict=True)
    ]


def _extra_gradients(group: Group, ct: Any) -> list[Any]:
    """The gradient of what was added to each sum, from that of the sums at all steps."""
    by_kind = {
        FIXED: lambda part: None,
        ONCE: lambda part: jnp.sum(part, axis=0),
        BEFORE: lambda part: part,
    }
    parts = zip(group.sums, group.split(ct), strict=True)
    return [by_kind[item.extra_kind](part) for item, part in parts]


def _is_inexact(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _only_inexact(leaves: Sequence[Any], like: Sequence[Any] | None = None) -> list[Any]:
    """The leaves that have a gradient."""
    pairs = zip(leaves, leaves if like is None else like, strict=True)
    return [leaf for leaf, other in pairs if _is_inexact(other)]


def _merged(leaves: Sequence[Any], inexact: Sequence[Any]) -> list[Any]:
    """The leaves, those that have a gradient taken from `inexact`."""
    rest = iter(inexact)
    return [next(rest) if _is_inexact(leaf) else leaf for leaf in leaves]


def _with_float0(leaves: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
    """Gradients for all leaves: of type float0 for those that have none."""
    rest = iter(gradients)
    return [
        next(rest) if _is_inexact(leaf) else np.zeros(leaf.shape, jax.dtypes.float0)
        for leaf in leaves
    ]
