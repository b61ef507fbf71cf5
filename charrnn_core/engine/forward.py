"""The loop of a plan, forward: a step's equations, and a scan of them that saves some values."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves
from charrnn_core.engine.equations import BEFORE, ONCE, Env, Value, read, run
from charrnn_core.engine.inexact import joined, parted
from charrnn_core.engine.inplace import scan_in_place
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


def run_loop(plan: Plan, length: int, feed: Feed, carry: Leaves, save: Sequence[Value]) -> Ran:
    """Return the carry after the loop, and the values to save, time first.

    What is kept of a sum is written over what was added to it, where it can be.
    """
    fed = dict(zip(plan.groups, feed.groups, strict=True))
    once = {group: _extras_of_kind(group, fed[group], ONCE) for group in plan.groups}
    extras = [e for group in plan.groups for e in _extras_of_kind(group, fed[group], BEFORE)]
    over = [item.overwrites_extra and item.kept in save for item in plan.sums]
    stacks: list[Any]  # none of them is None, as each is an extra that differs from step to step
    stacks, read_only = parted(extras, over)
    rewritten = [item.kept for item, here in zip(plan.sums, over, strict=True) if here]
    others = [value for value in save if value not in rewritten]

    def step(carry: Leaves, item: Any, old: Leaves) -> tuple[Leaves, Leaves, Leaves]:
        inputs, read_only = item
        by_step = dict(zip(plan.groups, plan.by_group(joined(old, read_only, over)), strict=True))

        def compute(group: Group, operands: Leaves, rest: list[Leaves]) -> Leaves:
            pairs = zip(by_step[group], once[group], strict=True)
            extras = [same if changing is None else changing for changing, same in pairs]
            return group.compute(operands, fed[group].weights, extras, rest)

        env, after = run_body(plan, carry, inputs, feed.consts, compute)
        return after, [env[value] for value in others], [env[value] for value in rewritten]

    after, ys, stacks = scan_in_place(step, carry, (feed.inputs, read_only), stacks, length)
    saved = dict(zip([*others, *rewritten], [*ys, *stacks], strict=True))
    return after, [saved[value] for value in save]


def _extras_of_kind(group: Group, fed: GroupFeed, kind: int) -> Extras:
    """Return the extras of that kind; None in place of the others."""
    pairs = zip(group.sums, fed.extras, strict=True)
    return [extra if item.extra_kind == kind else None for item, extra in pairs]
