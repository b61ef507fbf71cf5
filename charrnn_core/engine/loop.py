"""The loop of a plan, with a backward pass that leaves the weights alone.

Differentiating ``lax.scan`` adds up every weight's gradient inside the backward loop. Here the
backward loop only carries the gradient of the carry; it writes down the gradient of every sum
``s = l W + e``, and one product over all steps then gives the gradient of W. What is saved on the
way forward is the carry and what became of the sums; other elementwise work is done again.

It is a `jax.custom_vjp`: it can be differentiated in reverse, but not forward.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves
from charrnn_core.engine.equations import BEFORE, FIXED, ONCE, Env, Value, read, run
from charrnn_core.engine.inplace import scan_in_place
from charrnn_core.engine.inexact import joined, only_inexact, parted, with_float0, with_inexact
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Group

Extras: TypeAlias = list[Array | None]
"""For every sum of a group what is added to its products, as far as it needs no carry."""


class GroupFeed(NamedTuple):
    """What the loop reads to compute a group.

    Fields:
        weights: one for each operand of the group.
        extras: what is added: by step, with time first, or the same at all steps, or None.
    """

    weights: Leaves
    extras: Extras


class Feed(NamedTuple):
    """What the loop reads besides the carry.

    Fields:
        groups: for every group of the plan.
        consts: values that are the same at every step.
        inputs: values that differ from step to step, time first.
    """

    groups: list[GroupFeed]
    consts: Leaves
    inputs: Leaves


Compute: TypeAlias = Callable[[Group, Leaves, list[Leaves]], Leaves]
"""What is kept of a group's sums, from its operands and what the loop itself adds to each sum."""

Ran: TypeAlias = tuple[Leaves, Leaves]
"""The carry after the last step, and values at every step, time first."""


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def loop(plan: Plan, length: int, feed: Feed, carry: Leaves) -> Ran:
    """Run the plan's loop for `length` steps.

    Returns:
        The carry after the last step, and ``plan.stacked`` at every step.
    """
    return _scan(plan, length, feed, carry, plan.stacked)


_Residuals: TypeAlias = tuple[Feed, Leaves, Leaves]


def _forward(plan: Plan, length: int, feed: Feed, carry: Leaves) -> tuple[Ran, _Residuals]:
    after, saved = _scan(plan, length, feed, carry, _saved(plan))
    weights = [GroupFeed(fed.weights, []) for fed in feed.groups]
    return (after, saved[: len(plan.stacked)]), (feed._replace(groups=weights), carry, saved)


def _backward(
    plan: Plan, length: int, residuals: _Residuals, cotangents: Ran
) -> tuple[Feed, Leaves]:
    feed, carry, saved = residuals
    carry_ct, stacked_ct = cotangents
    known: Env = dict(zip(_saved(plan), saved, strict=True))
    carries = _carry_before_each_step(plan, carry, known)
    turned = _turned_weights(plan, feed)
    consts = only_inexact(feed.consts)
    # A small constant's gradient is written down at every step, a large one's added up.
    most = 4 * max((leaf.size for leaf in carry), default=1)
    small = [const.size <= most for const in consts]

    kept = plan.by_group(known[item.kept] for item in plan.sums)

    def step(gradients: tuple[Leaves, Leaves], item: Any) -> Any:
        carry_ct, totals = gradients
        carry, inputs, kept, stacked_ct = item
        pull, operands = _pull_step(plan, feed.consts, turned, carry, inputs, kept)
        carry_ct, input_ct, const_ct, group_ct = pull((carry_ct, stacked_ct))
        notes, parts = parted(const_ct, small)
        totals = [total + part for total, part in zip(totals, parts, strict=True)]
        sum_ct = [group.split(ct) for group, ct in zip(plan.groups, group_ct, strict=True)]
        return (carry_ct, totals), (input_ct, notes, sum_ct, operands)

    zeros = list(map(jnp.zeros_like, parted(consts, small)[1]))
    items = (carries, feed.inputs, kept, only_inexact(stacked_ct, saved[: len(plan.stacked)]))
    (carry_ct, totals), (input_ct, notes, sum_ct, operands) = jax.lax.scan(
        step, (only_inexact(carry_ct, carry), zeros), items, length, reverse=True
    )
    weight_ct = _weight_gradients(plan, feed, operands, sum_ct)
    extra_ct = [_extra_gradients(g, ct) for g, ct in zip(plan.groups, sum_ct, strict=True)]
    const_ct = joined([jnp.sum(note, axis=0) for note in notes], totals, small)
    gradient = Feed(
        [GroupFeed(*pair) for pair in zip(weight_ct, extra_ct, strict=True)],
        with_float0(feed.consts, const_ct),
        with_float0(feed.inputs, input_ct),
    )
    return gradient, with_float0(carry, carry_ct)


loop.defvjp(_forward, _backward)


def run_body(
    plan: Plan, carry: Leaves, inputs: Leaves, consts: Leaves, compute: Compute
) -> tuple[Env, Leaves]:
    """Run one step's equations; return all values, and the next carry."""
    env: Env = dict(zip(plan.carry, carry, strict=True))
    env.update(zip(plan.used_in_loop(BEFORE), inputs, strict=True))
    env.update(zip(plan.used_in_loop(ONCE), consts, strict=True))
    env = run(plan.fixed, env)
    for item in plan.loop:
        if isinstance(item, Group):
            operands = [env[operand] for operand in item.operands]
            rest = [[read(env, atom) for atom in part.rest] for part in item.sums]
            kept = compute(item, operands, rest)
            env.update(zip([part.kept for part in item.sums], kept, strict=True))
        else:
            item.run(env)
    after = [
        jnp.broadcast_to(jnp.asarray(read(env, atom), leaf.dtype), leaf.shape)
        for atom, leaf in zip(plan.carry_out, carry, strict=True)
    ]
    return env, after


def _scan(plan: Plan, length: int, feed: Feed, carry: Leaves, save: Sequence[Value]) -> Ran:
    """Return the carry after the loop, and the values to save, time first.

    What is kept of a sum is written over what was added to it, if both differ from step to step.
    """
    fed = dict(zip(plan.groups, feed.groups, strict=True))
    once = {group: _extras_of_kind(group, fed[group], ONCE) for group in plan.groups}
    extras = [extra for group in plan.groups for extra in fed[group].extras]
    over = [item.extra_kind == BEFORE and item.activation is not None and item.kept in save for item in plan.sums]
    rewritten = [item.kept for item, here in zip(plan.sums, over, strict=True) if here]
    others = [value for value in save if value not in rewritten]

    def step(carry: Leaves, item: Any, old: Leaves) -> tuple[Leaves, Leaves, Leaves]:
        inputs, read_only = item
        by_step = iter(joined(old, read_only, over))
        changing = {group: [next(by_step) for _ in group.sums] for group in plan.groups}

        def compute(group: Group, operands: Leaves, rest: list[Leaves]) -> Leaves:
            pairs = zip(changing[group], once[group], strict=True)
            extras = [same if changing is None else changing for changing, same in pairs]
            return group.compute(operands, fed[group].weights, extras, rest)

        env, after = run_body(plan, carry, inputs, feed.consts, compute)
        return after, [env[value] for value in others], [env[value] for value in rewritten]

    stacks, read_only = parted(extras, over)
    kinds = [item.extra_kind for item, here in zip(plan.sums, over, strict=True) if not here]
    read_only = [e if k == BEFORE else None for e, k in zip(read_only, kinds, strict=True)]
    after, ys, stacks = scan_in_place(step, carry, (feed.inputs, read_only), stacks, length)
    saved: Env = dict(zip([*others, *rewritten], [*ys, *stacks], strict=True))
    return after, [saved[value] for value in save]


def _extras_of_kind(group: Group, fed: GroupFeed, kind: int) -> Extras:
    """Return the extras of that kind; None in place of the others."""
    pairs = zip(group.sums, fed.extras, strict=True)
    return [extra if item.extra_kind == kind else None for item, extra in pairs]


def _saved(plan: Plan) -> tuple[Value, ...]:
    """Return ``plan.stacked``, what is kept of the sums, and the rest of the carry before a step.

    The carry before a step is the carry after the one before, which is often among the first two.
    """
    saved = dict.fromkeys([*plan.stacked, *(s.kept for group in plan.groups for s in group.sums)])
    pairs = zip(plan.carry, plan.carry_out, strict=True)
    return (*saved, *(old for old, new in pairs if old not in saved and new not in saved))


def _carry_before_each_step(plan: Plan, carry: Leaves, known: Mapping[Any, Array]) -> Leaves:
    return [
        known[old] if old in known else jnp.concatenate([start[None], known[new][:-1]])
        for start, old, new in zip(carry, plan.carry, plan.carry_out, strict=True)
    ]


def _turned_weights(plan: Plan, feed: Feed) -> list[Leaves]:
    """Return the weights of every group as `Product.operand_gradient` wants them."""
    # Kept so: the loop would otherwise read a transposed weight at every step.
    return jax.lax.optimization_barrier(
        [
            [p.turned(w) for p, w in zip(group.products, fed.weights, strict=True)]
            for group, fed in zip(plan.groups, feed.groups, strict=True)
        ]
    )


def _pull_step(
    plan: Plan,
    consts: Leaves,
    turned: list[Leaves],
    carry: Leaves,
    inputs: Leaves,
    kept: list[Leaves],
) -> tuple[Callable[[tuple[Leaves, Leaves]], tuple[Leaves, Leaves, Leaves, Leaves]], list[Leaves]]:
    """Return the vjp of one step, with what was kept of the sums in place of the products.

    It takes the gradients of the next carry and of ``plan.stacked``, and gives those of the carry,
    the inputs, the constants and each group's sums.

    Returns:
        The vjp, and every group's operands.
    """

    def outputs(
        carry_: Leaves, inputs_: Leaves, consts_: Leaves, probes: Leaves
    ) -> tuple[Ran, list[Leaves]]:
        parts = zip(plan.groups, turned, kept, probes, strict=True)
        known = {group: _KnownGroup(group, t, k, probe) for group, t, k, probe in parts}
        seen: dict[Group, Leaves] = {}

        def recall(group: Group, operands: Leaves, rest: list[Leaves]) -> Leaves:
            seen[group] = operands
            return known[group].recall(operands, rest)

        env, after = run_body(
            plan,
            with_inexact(carry, carry_),
            with_inexact(inputs, inputs_),
            with_inexact(consts, consts_),
            recall,
        )
        stacked = only_inexact([env[value] for value in plan.stacked])
        return (only_inexact(after), stacked), [seen[group] for group in plan.groups]

    probes = [jnp.zeros_like(g.join(k)) for g, k in zip(plan.groups, kept, strict=True)]
    free = (only_inexact(carry), only_inexact(inputs), only_inexact(consts), probes)
    _, pull, operands = jax.vjp(outputs, *free, has_aux=True)
    return pull, operands


@dataclass(frozen=True)
class _KnownGroup:
    """A group at a step of the backward loop, where what became of its sums is known.

    Arguments:
        turned: its weights, as `Product.operand_gradient` wants them.
        kept: what was kept of every sum.
        probe: zeros; their gradient is that of the sums, side by side.
    """

    group: Group
    turned: Leaves
    kept: Leaves
    probe: Array

    def recall(self, operands: Leaves, rest: list[Leaves]) -> Leaves:
        """Return what was kept of the sums, with the gradient it had when it was computed."""

        @jax.custom_vjp
        def recall(operands: Any, rest: Any, turned: Any, kept: Any, probe: Any) -> Any:
            return kept

        def forward(operands: Any, rest: Any, turned: Any, kept: Any, probe: Any) -> Any:
            return kept, (operands, rest, turned, kept)

        recall.defvjp(forward, self._pull)
        return recall(operands, rest, self.turned, self.kept, self.probe)

    def _pull(self, residuals: Any, kept_ct: Leaves) -> Any:
        operands, rest, turned, kept = residuals
        sums, products = self.group.sums, self.group.products
        parts = [s.pull(k, ct) for s, k, ct in zip(sums, kept, kept_ct, strict=True)]
        ct = self.group.join(parts)
        operand_ct = [
            product.operand_gradient(operand, weight, ct)
            for product, operand, weight in zip(products, operands, turned, strict=True)
        ]
        rest_ct = [
            [_gradient_of_added(part, value) for value in added]
            for part, added in zip(parts, rest, strict=True)
        ]
        return operand_ct, rest_ct, *jax.tree.map(jnp.zeros_like, (turned, kept)), ct


def _gradient_of_added(gradient: Array, added: Array) -> Array:
    """Return the gradient of what is added to a sum, from the sum's.

    An equation adds a number, or one per row, to every element without broadcasting it first.
    """
    pull = jax.linear_transpose(lambda added: jnp.broadcast_to(added, gradient.shape), added)
    return pull(gradient)[0]


def _weight_gradients(
    plan: Plan, feed: Feed, operands: list[Leaves], sum_ct: list[Leaves]
) -> list[Leaves]:
    """Return the weights' gradients, from the operands and the sums' gradients at every step."""
    return [
        [
            product.weight_gradients(operand, weight, ct)
            for product, operand, weight in zip(group.products, row, fed.weights, strict=True)
        ]
        for group, row, fed, ct in zip(plan.groups, operands, feed.groups, sum_ct, strict=True)
    ]


def _extra_gradients(group: Group, sum_ct: Leaves) -> Extras:
    """Return the gradient of what was added to each sum, from that of the sums at all steps."""
    by_kind: dict[int, Callable[[Array], Array | None]] = {
        FIXED: lambda part: None,
        ONCE: lambda part: jnp.sum(part, axis=0),
        BEFORE: lambda part: part,
    }
    parts = zip(group.sums, sum_ct, strict=True)
    return [by_kind[item.extra_kind](part) for item, part in parts]
