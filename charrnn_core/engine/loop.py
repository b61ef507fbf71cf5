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
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves
from charrnn_core.engine.equations import BEFORE, FIXED, ONCE, Env, Value
from charrnn_core.engine.forward import Extras, Feed, GroupFeed, Ran, run_body, run_loop
from charrnn_core.engine.inexact import joined, only_inexact, parted, with_float0, with_inexact
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Group


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def loop(plan: Plan, length: int, feed: Feed, carry: Leaves) -> Ran:
    """Run the plan's loop for `length` steps.

    Returns:
        The carry after the last step, and ``plan.stacked`` at every step.
    """
    return run_loop(plan, length, feed, carry, plan.stacked)


_Residuals: TypeAlias = tuple[Feed, Leaves, Leaves]


def _forward(plan: Plan, length: int, feed: Feed, carry: Leaves) -> tuple[Ran, _Residuals]:
    after, saved = run_loop(plan, length, feed, carry, _saved(plan))
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
    unknown = [operand for operand in plan.operands if operand not in known]

    def step(gradients: tuple[Leaves, Leaves], item: Any) -> Any:
        carry_ct, totals = gradients
        carry, inputs, kept, stacked_ct = item
        pull, operands = _pull_step(plan, feed.consts, turned, carry, inputs, kept, unknown)
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
    known.update(zip(unknown, operands, strict=True))
    weight_ct = _weight_gradients(plan, feed, known, sum_ct)
    extra_ct = [_extra_gradients(g, ct) for g, ct in zip(plan.groups, sum_ct, strict=True)]
    const_ct = joined([jnp.sum(note, axis=0) for note in notes], totals, small)
    gradient = Feed(
        [GroupFeed(*pair) for pair in zip(weight_ct, extra_ct, strict=True)],
        with_float0(feed.consts, const_ct),
        with_float0(feed.inputs, input_ct),
    )
    return gradient, with_float0(carry, carry_ct)


loop.defvjp(_forward, _backward)


def _saved(plan: Plan) -> tuple[Value, ...]:
    """Return ``plan.stacked``, what is kept of the sums, and the carry before a step.

    The carry before a step is the carry after the one before, which is often among the first two.
    It is saved all the same where a weight multiplies it, as the weight's gradient needs it whole.
    """
    saved = dict.fromkeys([*plan.stacked, *(item.kept for item in plan.sums)])
    for old, new in zip(plan.carry, plan.carry_out, strict=True):
        if old in plan.operands or new not in saved:
            saved.setdefault(old)
    return tuple(saved)


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
    operands: Sequence[Value],
) -> tuple[Callable[[tuple[Leaves, Leaves]], tuple[Leaves, Leaves, Leaves, Leaves]], Leaves]:
    """Return the vjp of one step, with what was kept of the sums in place of the products.

    It takes the gradients of the next carry and of ``plan.stacked``, and gives those of the carry,
    the inputs, the constants and each group's sums.

    Returns:
        The vjp, and these `operands` of the groups.
    """

    def outputs(
        carry_: Leaves, inputs_: Leaves, consts_: Leaves, probes: Leaves
    ) -> tuple[Ran, Leaves]:
        parts = zip(plan.groups, turned, kept, probes, strict=True)
        known = {group: _KnownGroup(group, t, k, probe) for group, t, k, probe in parts}
        seen: Env = {}

        def recall(group: Group, values: Leaves, rest: list[Leaves]) -> Leaves:
            seen.update(zip(group.operands, values, strict=True))
            return known[group].recall(values, rest)

        env, after = run_body(
            plan,
            with_inexact(carry, carry_),
            with_inexact(inputs, inputs_),
            with_inexact(consts, consts_),
            recall,
        )
        stacked = only_inexact([env[value] for value in plan.stacked])
        return (only_inexact(after), stacked), [seen[operand] for operand in operands]

    probes = [jnp.zeros_like(g.join(k)) for g, k in zip(plan.groups, kept, strict=True)]
    free = (only_inexact(carry), only_inexact(inputs), only_inexact(consts), probes)
    _, pull, values = jax.vjp(outputs, *free, has_aux=True)
    return pull, values


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
    plan: Plan, feed: Feed, known: Mapping[Value, Array], sum_ct: list[Leaves]
) -> list[Leaves]:
    """Return the weights' gradients, from the operands and the sums' gradients at every step."""
    return [
        [
            product.weight_gradients(known[product.operand], weight, ct)
            for product, weight in zip(group.products, fed.weights, strict=True)
        ]
        for group, fed, ct in zip(plan.groups, feed.groups, sum_ct, strict=True)
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
