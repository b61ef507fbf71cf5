"""The unroll engine: a cell's step over time, made fast for any cell.

`unroll` reads the step (`charrnn_core.engine.plan`), runs what needs no carry for all steps at
once, and loops over the rest with a backward pass of its own (`charrnn_core.engine.loop`). What it
cannot improve or cannot prove safe is left to ``lax.scan``.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from charrnn_core.arrays import Array, Carry, Leaves, Params, Reset, Shaped, Structure, Tree
from charrnn_core.blame import is_no_bug
from charrnn_core.engine.affine import affine_loop, is_affine
from charrnn_core.engine.equations import BEFORE, HEAVY, ONCE, Atom, Env, Value, read, run
from charrnn_core.engine.fallback import attempt, is_limit, report, trace_gradient, why
from charrnn_core.engine.forward import Feed, GroupFeed
from charrnn_core.engine.lookup import InputValues, table_if_cheaper
from charrnn_core.engine.loop import loop
from charrnn_core.engine.plan import Plan, make_plan
from charrnn_core.engine.products import run_over_time
from charrnn_core.engine.stages import Stage, cut_into_stages
from charrnn_core.engine.trace import Step, Traced, trace

_log = logging.getLogger(__name__)
_FORCED = ("engine", "parallel")

Fresh: TypeAlias = Carry | Callable[[Params], Carry] | None
"""The carry a reset starts from, or a function of the parameters that gives it; None for zeros."""

Way: TypeAlias = Callable[[Params, Carry, Tree], tuple[Carry, Tree]]
"""How a step gets over time: ``(params, carry, xs) -> (carry, ys)``, with time first in xs, ys."""


def unroll(
    step: Step,
    params: Params,
    carry: Carry,
    xs: Tree,
    *,
    reset: Reset | None = None,
    fresh: Fresh = None,
    symbols: int | None = None,
    mode: str = "auto",
) -> tuple[Carry, Tree]:
    """Apply ``carry, y = step(params, carry, x)`` along the first axis of `xs`.

    Arguments:
        step: a pure function.
        params: a pytree, the same at every step.
        carry: a pytree, the state before the first step.
        xs: a pytree with time first, ``[T, ...]``.
        reset: bool ``[T]`` or ``[T,B]``: where True, that row of the carry is replaced by `fresh`
            before the step.
        fresh: the carry a reset starts from, or a function of the parameters that gives it; zeros
            if None.
        symbols: V, if the first leaf of `xs` is ids ``int[T,B]`` below it; what the step makes of
            them is then computed once per symbol.
        mode: ``"engine"``, ``"scan"`` for plain ``lax.scan``, or ``"auto"``; ``"parallel"`` is the
            engine with an associative scan (`charrnn_core.engine.affine`) wherever the recurrence
            allows it, which otherwise is done on accelerators only.

    Returns:
        The carry after the last step, and the outputs ``[T, ...]``.

    >>> cumulative_sum = lambda params, carry, x: (carry + x, carry + x)
    >>> unroll(cumulative_sum, None, jnp.int32(0), jnp.arange(4))[1].tolist()
    [0, 1, 3, 6]
    >>> reset = jnp.array([False, False, True, False])
    >>> unroll(cumulative_sum, None, jnp.int32(0), jnp.arange(4), reset=reset)[1].tolist()
    [0, 1, 2, 5]
    """
    whole, inputs = _with_reset(step, xs, reset, fresh)

    def by_choice() -> tuple[Carry, Tree]:
        choice, way = _decide(whole, params, carry, inputs, symbols, mode)
        if not choice.engine:
            _log.info("a plain scan: %s", choice.why)
        return way(params, carry, inputs)

    result, fault = attempt(by_choice, partial(_plain_scan, whole, params, carry, inputs))
    if fault is not None:
        report(fault, forced=mode in _FORCED)
    return result


@dataclass(frozen=True)
class Choice:
    """How a step gets over time, and why.

    Arguments:
        engine: whether the engine is used; else it is a plain scan.
        why: the reason, a phrase.
        plans: what the engine makes of the step, a plan for each of its loops; none for a scan.
        own: whether the cell's own sequence is used instead of either.
        failed: whether the engine failed on the step, which is a bug of charrnn.
    """

    engine: bool
    why: str
    plans: tuple[Plan, ...]
    own: bool = False
    failed: bool = False


def choose(
    step: Step,
    params: Params,
    carry: Carry,
    xs: Tree,
    symbols: int | None = None,
    mode: str = "auto",
    *,
    reset: Shaped | None = None,
    fresh: Fresh = None,
) -> Choice:
    """Say what `unroll` and a training with it would do; the arguments may be shapes.

    Raises:
        EngineError: the engine is asked for and fails.

    >>> step = lambda W, h, x: (jnp.tanh(h @ W + x),) * 2
    >>> choose(step, jnp.eye(3), jnp.ones((2, 3)), jnp.ones((4, 2, 3))).engine
    True
    """
    whole, inputs = _with_reset(step, xs, reset, fresh)
    shapes, scan = (params, carry, inputs), partial(_plain_scan, whole)

    def without_engine() -> tuple[Choice, Way]:
        jax.eval_shape(scan, *shapes)
        return Choice(False, "", ()), scan

    decide = partial(_decide, whole, *shapes, symbols, mode)
    (choice, way), fault = attempt(decide, without_engine)
    if choice.engine:
        fault = _fault(way, scan, *shapes)
    if fault is None:
        return choice
    if mode in _FORCED:
        report(fault, forced=True)
    return Choice(False, why(fault), (), failed=not is_limit(fault))


def _decide(
    step: Step, params: Params, carry: Carry, xs: Tree, symbols: int | None, mode: str
) -> tuple[Choice, Way]:
    """Decide how a step gets over time, by reading it; the arguments may be shapes."""
    scan = partial(_plain_scan, step)
    if mode == "scan":  # the way out if reading a step should fail, so it is not read here either
        return Choice(False, "asked for", ()), scan
    if not jax.tree.leaves(xs)[0].shape[0]:
        return Choice(False, "there are no steps", ()), scan
    # Not just shapes: inside a shard_map an array's type says over which axes it varies.
    x = jax.eval_shape(partial(jax.tree.map, lambda leaf: leaf[0]), xs)
    traced, forced = trace(step, params, carry, x), mode in _FORCED
    if not forced and (reason := _why_not(traced)) is not None:
        return Choice(False, reason, ()), scan
    stages = cut_into_stages(traced)
    plans = tuple(make_plan(stage.traced) for stage in stages)
    parallel = mode == "parallel" or jax.default_backend() != "cpu"
    engine = partial(_run_stages, stages, plans, traced.structure, symbols, parallel)
    reason = "asked for" if forced else "it has products that do not need a loop"
    return Choice(True, reason, plans), engine


def _why_not(traced: Traced) -> str | None:
    """Return why the engine cannot do better than the plain scan, or not safely; None if it can."""
    if traced.effects:
        return "the step has side effects, which have to stay in order"
    if not any(equation.name in HEAVY for equation in traced.equations):
        return "the step has no product that could leave the loop"
    return None


def _fault(engine: Way, scan: Way, *shapes: Tree) -> Exception | None:
    """Return how the engine fails where a plain scan does not, with gradients if it has any."""
    for use in (trace_gradient, jax.eval_shape):
        try:
            return attempt(partial(use, engine, *shapes), partial(use, scan, *shapes))[1]
        except Exception as error:
            if is_no_bug(error) or use is jax.eval_shape:
                raise
    return None


def _plain_scan(step: Step, params: Params, carry: Carry, xs: Tree) -> tuple[Carry, Tree]:
    return lax.scan(lambda carry, x: step(params, carry, x), carry, xs)


def _with_reset(step: Step, xs: Tree, reset: Shaped | None, fresh: Fresh) -> tuple[Step, Tree]:
    """Return a step that starts from a fresh carry where it has to, and all that it reads."""
    if reset is None:
        return step, xs

    def step_or_restart(params: Params, carry: Carry, x_and_mask: Tree) -> tuple[Carry, Tree]:
        x, mask = x_and_mask
        if fresh is None:
            start = jax.tree.map(jnp.zeros_like, carry)
        else:
            start = fresh(params) if callable(fresh) else fresh
        return step(params, restart(mask, carry, start), x)

    return step_or_restart, (xs, reset)


def restart(mask: Array, carry: Carry, start: Carry) -> Carry:
    """Return a carry whose rows are those of `start` where ``mask: bool[B]`` is True.

    >>> restart(jnp.array([True, False]), jnp.array([[1.0], [2.0]]), jnp.zeros((2, 1))).tolist()
    [[0.0], [2.0]]
    """
    return jax.tree.map(lambda old, new: _where_rows(mask, new, old), carry, start)


def _where_rows(mask: Array, new: Array, old: Array) -> Array:
    """Return `new` where the mask of the leading axes is True, else `old`."""
    aligned = mask.reshape(mask.shape + (1,) * (old.ndim - mask.ndim))
    return jnp.where(aligned, new, old)


def _run_stages(
    stages: Sequence[Stage],
    plans: Sequence[Plan],
    structure: Structure,
    symbols: int | None,
    parallel: bool,
    params: Params,
    carry: Carry,
    xs: Tree,
) -> tuple[Carry, Tree]:
    """Run one loop after the other.

    Arguments:
        structure: the structure of what a step returns.
        parallel: use an associative scan for loops that are affine.
    """
    inputs, start = jax.tree.leaves(xs), [jnp.asarray(leaf) for leaf in jax.tree.leaves(carry)]
    end, outputs = list(start), []
    made: Env = {}
    for stage, plan in zip(stages, plans, strict=True):
        after, outputs = _run_stage(
            plan,
            [jnp.asarray(leaf) for leaf in jax.tree.leaves(params)],
            [start[i] for i in stage.carry],
            [*inputs, *(made[value] for value in stage.given)],
            symbols,
            parallel,
        )
        made.update(zip(stage.made, outputs, strict=False))  # the last makes outputs alone
        for i, leaf in zip(stage.carry, after, strict=True):
            end[i] = leaf
    return jax.tree.unflatten(structure, [*end, *outputs])


def _run_stage(
    plan: Plan, params: Leaves, carry: Leaves, inputs: Leaves, symbols: int | None, parallel: bool
) -> tuple[Leaves, Leaves]:
    """Return the carry after the last step, and the outputs at every step."""
    length = inputs[0].shape[0]
    env: Env = dict(plan.constants)
    env.update(zip(plan.params, params, strict=True))
    env = run(plan.once, run(plan.fixed, env))
    table = None if symbols is None else table_if_cheaper(plan, env, symbols, inputs[0].size)
    values = InputValues(plan, env, inputs, table, over_time=True)
    weights = [group.weights(env) for group in plan.groups]
    extras = [[values.extra(item) for item in group.sums] for group in plan.groups]
    feed = Feed(
        groups=[GroupFeed(*pair) for pair in zip(weights, extras, strict=True)],
        consts=[env[value] for value in plan.used_in_loop(ONCE)],
        inputs=[values[value] for value in plan.used_in_loop(BEFORE)],
    )
    way: Any = affine_loop if parallel and is_affine(plan) else loop  # no type of a custom_vjp
    end, stacks = way(plan, length, feed, carry)
    per_step: Env = dict(zip(plan.stacked, stacks, strict=True))
    per_step.update((value, values[value]) for value in plan.used_after(BEFORE))
    per_step = run_over_time(plan.after, env, per_step)
    return end, [_at_every_step(atom, env, per_step, length) for atom in plan.outputs]


def _at_every_step(atom: Atom, once: Env, per_step: Env, length: int) -> Array:
    if isinstance(atom, Value) and atom in per_step:
        return per_step[atom]
    value = jnp.asarray(read(once, atom))
    return jnp.broadcast_to(value, (length, *value.shape))
