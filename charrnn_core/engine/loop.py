"""The loop of a plan, with a backward pass that leaves the weights alone.

Differentiating ``lax.scan`` adds up every weight's gradient inside the backward loop. Here the
backward loop only carries the gradient of the carry; it writes down the gradient of every sum
``s = l W + e``, and one product over all steps then gives the gradient of W. What is saved on the
way forward is the carry and what became of the sums; other elementwise work is done again.

It is a `jax.custom_vjp`: it can be differentiated in reverse, but not forward.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.engine.equations import BEFORE, FIXED, ONCE, Env, Value, read, run
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Group


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


Totals = Callable[[int, list[Any], list[list[Any]]], list[Any]]
"""From a group's number, its operands and what the loop adds to the values kept of its sums."""


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def loop(plan: Plan, length: int, feed: Feed, carry: list[Any]) -> Any:
    """Run the plan's loop for `length` steps.

    Returns:
        The carry after the last step, and ``plan.stacked`` at every step.
    """
    return _scan(plan, length, feed, carry, plan.stacked)


def _forward(plan: Plan, length: int, feed: Feed, carry: list[Any]) -> Any:
    after, saved = _scan(plan, length, feed, carry, _saved(plan))
    return (after, saved[: len(plan.stacked)]), (feed._replace(extras=[]), carry, saved)


def _backward(plan: Plan, length: int, residuals: Any, cotangents: Any) -> tuple[Feed, list[Any]]:
    feed, carry, saved = residuals
    carry_ct, stacked_ct = cotangents
    known: dict[Value, Any] = dict(zip(_saved(plan), saved, strict=True))
    befores = _before_each_step(plan, carry, known)
    kept = [[known[item.kept] for item in group.sums] for group in plan.groups]
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
        before, inputs, kept, stacked_ct = item
        pull = _pull_step(plan, feed.consts, turned, before, inputs, kept)
        carry_ct, input_ct, const_ct, sum_ct = pull((carry_ct, stacked_ct))
        mine = [ct for ct, w in zip(const_ct, written, strict=True) if not w]
        added = [total + ct for total, ct in zip(added, mine, strict=True)]
        notes = [ct for ct, w in zip(const_ct, written, strict=True) if w]
        return (carry_ct, added), (input_ct, notes, sum_ct)

    zeros = [jnp.zeros_like(c) for c, w in zip(consts, written, strict=True) if not w]
    stacked = saved[: len(plan.stacked)]
    items = (befores, feed.inputs, kept, _only_inexact(stacked_ct, stacked))
    (carry_ct, added), (input_ct, notes, sum_ct) = jax.lax.scan(
        step, (_only_inexact(carry_ct, carry), zeros), items, length, reverse=True
    )
    rest, noted = iter(added), (jnp.sum(ct, axis=0) for ct in notes)
    gradient = Feed(
        _weight_gradients(plan, feed, befores, kept, sum_ct),
        [_extra_gradients(g, ct) for g, ct in zip(plan.groups, sum_ct, strict=True)],
        _with_float0(feed.consts, [next(noted) if w else next(rest) for w in written]),
        _with_float0(feed.inputs, input_ct),
    )
    return gradient, _with_float0(carry, carry_ct)


loop.defvjp(_forward, _backward)


def run_body(
    plan: Plan, carry: Sequence[Any], inputs: Sequence[Any], consts: Sequence[Any], totals: Totals
) -> tuple[Env, list[Any]]:
    """One step's equations; `totals` gives what is kept of sums. All values, and the next carry."""
    env: Env = dict(zip(plan.carry, carry, strict=True))
    env.update(zip(plan.used_in_loop(BEFORE), inputs, strict=True))
    env.update(zip(plan.used_in_loop(ONCE), consts, strict=True))
    env = run(plan.fixed, env)
    groups = 0
    for item in plan.loop:
        if isinstance(item, Group):
            operands = [env[operand] for operand in item.operands]
            rest = [[read(env, atom) for atom in part.rest] for part in item.sums]
            kept = totals(groups, operands, rest)
            env.update(zip([part.kept for part in item.sums], kept, strict=True))
            groups += 1
        else:
            item.run(env)
    after = [
        jnp.broadcast_to(jnp.asarray(read(env, atom), leaf.dtype), leaf.shape)
        for atom, leaf in zip(plan.carry_out, carry, strict=True)
    ]
    return env, after


def _scan(
    plan: Plan, length: int, feed: Feed, carry: list[Any], save: Sequence[Value]
) -> tuple[list[Any], list[Any]]:
    """The carry after the loop, and the values to save, time first."""
    once = _of_kind(plan, feed.extras, ONCE)

    def step(carry: Any, item: Any) -> Any:
        inputs, per_step = item

        def totals(i: int, operands: list[Any], rest: list[list[Any]]) -> list[Any]:
            group = plan.groups[i]
            extras = [a if b is None else b for a, b in zip(per_step[i], once[i], strict=True)]
            return group.finish(group.multiply(operands, feed.weights[i]), extras, rest)

        env, after = run_body(plan, carry, inputs, feed.consts, totals)
        return after, [env[value] for value in save]

    items = (feed.inputs, _of_kind(plan, feed.extras, BEFORE))
    return jax.lax.scan(step, carry, items, length)


def _of_kind(plan: Plan, extras: list[list[Any]], kind: int) -> list[list[Any]]:
    """The extras of that kind; None in place of the others."""
    return [
        [e if item.extra_kind == kind else None for item, e in zip(group.sums, row, strict=True)]
        for group, row in zip(plan.groups, extras, strict=True)
    ]


def _saved(plan: Plan) -> tuple[Value, ...]:
    """``plan.stacked``, what is kept of the sums, and the carry before a step unless these tell it.

    The carry before a step is the carry after the one before, which is often an output.
    """
    told = dict.fromkeys([*plan.stacked, *(s.kept for group in plan.groups for s in group.sums)])
    pairs = zip(plan.carry, plan.carry_out, strict=True)
    return (*told, *(b for b, a in pairs if b not in told and a not in told))


def _before_each_step(plan: Plan, carry: list[Any], known: Mapping[Any, Any]) -> list[Any]:
    return [
        known[before] if before in known else jnp.concatenate([start[None], known[after][:-1]])
        for start, before, after in zip(carry, plan.carry, plan.carry_out, strict=True)
    ]


def _pull_step(
    plan: Plan, consts: Any, turned: Any, before: Any, inputs: Any, kept: Any
) -> Callable[[Any], Any]:
    """The vjp of one step, with what was kept of the sums in place of the products.

    It takes the gradients of the next carry and of ``plan.stacked``, and gives those of the carry,
    the inputs, the constants and each group's sums.
    """

    def outputs(carry: Any, inputs_: Any, consts_: Any, probes: Any) -> Any:
        def totals(i: int, operands: list[Any], rest: list[list[Any]]) -> list[Any]:
            return _recall(plan.groups[i], operands, rest, turned[i], kept[i], probes[i])

        env, after = run_body(
            plan, _merged(before, carry), _merged(inputs, inputs_), _merged(consts, consts_), totals
        )
        return _only_inexact(after), _only_inexact([env[value] for value in plan.stacked])

    probes = [jnp.zeros_like(g.join(k)) for g, k in zip(plan.groups, kept, strict=True)]
    free = (_only_inexact(before), _only_inexact(inputs), _only_inexact(consts), probes)
    return jax.vjp(outputs, *free)[1]


def _recall(
    group: Group, operands: Any, rest: Any, turned: Any, kept: list[Any], probe: Any
) -> list[Any]:
    """What was kept of the sums, with the gradient it had when it was computed.

    The gradient of `probe` is that of the sums, side by side.
    """

    @jax.custom_vjp
    def recall(operands: Any, rest: Any, turned: Any, kept: Any, probe: Any) -> Any:
        return kept

    def forward(operands: Any, rest: Any, turned: Any, kept: Any, probe: Any) -> Any:
        return kept, (operands, rest, turned, kept)

    def backward(residuals: Any, kept_ct: Any) -> Any:
        operands, rest, turned, kept = residuals
        parts = [s.pull(k, ct) for s, k, ct in zip(group.sums, kept, kept_ct, strict=True)]
        ct = group.join(parts)
        back = [
            product.operand_gradient(operand, weight, ct)
            for product, operand, weight in zip(
                group.sums[0].products, operands, turned, strict=True
            )
        ]
        rest_ct = [
            [_gradient_of_added(part, value) for value in added]
            for part, added in zip(parts, rest, strict=True)
        ]
        return back, rest_ct, *jax.tree.map(jnp.zeros_like, (turned, kept)), ct

    recall.defvjp(forward, backward)
    return recall(operands, rest, turned, kept, probe)


def _gradient_of_added(gradient: Any, added: Any) -> Any:
    """An equation adds a number, or one per row, to every element without broadcasting it first."""
    pull = jax.linear_transpose(lambda added: jnp.broadcast_to(added, gradient.shape), added)
    return pull(gradient)[0]


def _weight_gradients(
    plan: Plan, feed: Feed, befores: Any, kept: Any, sum_ct: Any
) -> list[list[Any]]:
    """One product over all steps per weight, from the operands and the gradients of the sums."""

    def operands_of(before: Any, inputs: Any, kept: Any) -> list[list[Any]]:
        seen: list[list[Any]] = []

        def totals(i: int, operands: list[Any], rest: list[list[Any]]) -> list[Any]:
            seen.append(operands)
            return kept[i]

        run_body(plan, before, inputs, feed.consts, totals)
        return seen

    operands = jax.vmap(operands_of)(befores, feed.inputs, kept)
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
