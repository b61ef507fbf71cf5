"""The unroll engine: a cell's step over time, made fast for any cell.

`unroll` reads the step (`charrnn_core.engine.plan`), runs what needs no carry for all steps at
once, and loops over the rest with a backward pass of its own (`charrnn_core.engine.loop`). What it
cannot improve or cannot prove safe is left to ``lax.scan``.
"""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from charrnn_core.blame import is_no_bug
from charrnn_core.engine.affine import affine_loop, is_affine
from charrnn_core.engine.before import Before
from charrnn_core.engine.equations import BEFORE, HEAVY, ONCE, Atom, Env, Value, read, run
from charrnn_core.engine.fallback import attempt, gradient, is_limit, report, why
from charrnn_core.engine.loop import Feed, loop
from charrnn_core.engine.plan import Plan, make_plan
from charrnn_core.engine.products import run_over_time
from charrnn_core.engine.stages import cut_into_stages
from charrnn_core.engine.trace import Step, Traced, trace

_log = logging.getLogger(__name__)
_FORCED = ("engine", "parallel")


def unroll(
    step: Step,
    params: Any,
    carry: Any,
    xs: Any,
    *,
    reset: jax.Array | None = None,
    fresh: Any = None,
    symbols: int | None = None,
    mode: str = "auto",
) -> tuple[Any, Any]:
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
        symbols: V, if `xs` is one array of ids ``int[T,B]`` of so many symbols; what the step makes
            of them is then computed once per symbol.
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
    whole, inputs = _whole(step, xs, reset, fresh)

    def plainly() -> tuple[Any, Any]:
        return _plain_scan(whole, params, carry, inputs)

    def by_engine() -> tuple[Any, Any]:
        traced = _trace(whole, params, carry, inputs)
        if mode in _FORCED or (reason := _why_not(traced)) is None:
            return _engine(traced, params, carry, inputs, symbols, _in_parallel(mode))
        _log.info("a plain scan: %s", reason)
        return plainly()

    if mode == "scan" or not jax.tree.leaves(inputs)[0].shape[0]:
        return plainly()
    result, fault = attempt(by_engine, plainly)
    if fault is not None:
        report(fault, forced=mode in _FORCED)
    return result


@dataclass(frozen=True)
class Choice:
    """How a step gets over time, and why.

    Arguments:
        engine: whether by the engine; else by a plain scan.
        why: the reason, a phrase.
        plans: what the engine makes of the step, a plan for each of its loops; none for a scan.
        own: whether by a way of the cell's own instead of either.
        failed: whether the engine failed on the step, which is a fault of charrnn.
    """

    engine: bool
    why: str
    plans: tuple[Plan, ...]
    own: bool = False
    failed: bool = False


def choose(
    step: Step,
    params: Any,
    carry: Any,
    xs: Any,
    symbols: int | None = None,
    mode: str = "auto",
    *,
    reset: Any = None,
    fresh: Any = None,
) -> Choice:
    """What `unroll` would do with these arguments, which may be shapes, and what training would.

    Raises:
        EngineError: the engine is asked for and fails.

    >>> step = lambda W, h, x: (jnp.tanh(h @ W + x),) * 2
    >>> choose(step, jnp.eye(3), jnp.ones((2, 3)), jnp.ones((4, 2, 3))).engine
    True
    """
    if mode == "scan":  # the way out if reading a step should fail, so it is not read here either
        return Choice(False, "asked for", ())
    whole, inputs = _whole(step, xs, reset, fresh)
    shapes, forced = (params, carry, inputs), mode in _FORCED
    plainly = partial(_plain_scan, whole)

    def plan() -> Choice:
        traced = _trace(whole, *shapes)
        if not forced and (reason := _why_not(traced)) is not None:
            return Choice(False, reason, ())
        plans = tuple(make_plan(stage.traced) for stage in cut_into_stages(traced))
        asked = "asked for" if forced else "it has products that do not need a loop"
        return Choice(True, asked, plans)

    def by_engine(params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        traced = _trace(whole, params, carry, inputs)
        return _engine(traced, params, carry, inputs, symbols, _in_parallel(mode))

    def without_plan() -> Choice:
        jax.eval_shape(plainly, *shapes)
        return Choice(False, "", ())

    choice, fault = attempt(plan, without_plan)
    if choice.engine:
        fault = _fault(by_engine, plainly, *shapes)
    if fault is None:
        return choice
    if forced:
        report(fault, forced)
    return Choice(False, why(fault), (), failed=not is_limit(fault))


def _fault(engine: Step, plainly: Step, *shapes: Any) -> Exception | None:
    """How the engine fails where a plain scan does not; with gradients, if the step has any."""
    for use in (gradient, jax.eval_shape):
        try:
            return attempt(partial(use, engine, *shapes), partial(use, plainly, *shapes))[1]
        except Exception as error:
            if is_no_bug(error) or use is jax.eval_shape:
                raise
    return None


def _plain_scan(step: Step, params: Any, carry: Any, xs: Any) -> tuple[Any, Any]:
    return lax.scan(lambda carry, x: step(params, carry, x), carry, xs)


def _in_parallel(mode: str) -> bool:
    return mode == "parallel" or jax.default_backend() != "cpu"


def _whole(step: Step, xs: Any, reset: Any, fresh: Any) -> tuple[Step, Any]:
    """The step with what a reset adds to it, and all that it reads."""
    return (step, xs) if reset is None else (_with_reset(step, fresh), (xs, reset))


def _trace(step: Step, params: Any, carry: Any, xs: Any) -> Traced:
    # Not just shapes: inside a shard_map an array's type tells over which axes it varies.
    x = jax.eval_shape(partial(jax.tree.map, lambda leaf: leaf[0]), xs)
    return trace(step, params, carry, x)


def _why_not(traced: Traced) -> str | None:
    """Why the engine cannot do better than the plain scan, or not safely; None if it can."""
    if traced.effects:
        return "the step does more than compute, and what it does has to stay in order"
    if not any(equation.name in HEAVY for equation in traced.equations):
        return "the step has no product that could leave the loop"
    return None


def _with_reset(step: Step, fresh: Any) -> Step:
    def step_or_restart(params: Any, carry: Any, x_and_mask: Any) -> tuple[Any, Any]:
        x, mask = x_and_mask
        if fresh is None:
            start = jax.tree.map(jnp.zeros_like, carry)
        else:
            start = fresh(params) if callable(fresh) else fresh
        return step(params, restart(mask, carry, start), x)

    return step_or_restart


def restart(mask: jax.Array, carry: Any, start: Any) -> Any:
    """A carry whose rows are those of `start` where ``mask: bool[B]`` is True.

    >>> restart(jnp.array([True, False]), jnp.array([[1.0], [2.0]]), jnp.zeros((2, 1))).tolist()
    [[0.0], [2.0]]
    """
    return jax.tree.map(lambda old, new: _where_rows(mask, new, old), carry, start)


def _where_rows(mask: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` where the mask of the leading axes is True, else `old`."""
    aligned = mask.reshape(mask.shape + (1,) * (old.ndim - mask.ndim))
    return jnp.where(aligned, new, old)


def _engine(
    traced: Traced, params: Any, carry: Any, xs: Any, symbols: int | None, parallel: bool = False
) -> tuple[Any, Any]:
    inputs, start = jax.tree.leaves(xs), [jnp.asarray(leaf) for leaf in jax.tree.leaves(carry)]
    end, outputs = list(start), []
    made: Env = {}
    for stage in cut_into_stages(traced):
        after, outputs = _run_stage(
            make_plan(stage.traced),
            [jnp.asarray(leaf) for leaf in jax.tree.leaves(params)],
            [start[i] for i in stage.carry],
            [*inputs, *(made[value] for value in stage.given)],
            symbols,
            parallel,
        )
        made.update(zip(stage.made, outputs, strict=False))  # the last makes outputs alone
        for i, leaf in zip(stage.carry, after, strict=True):
            end[i] = leaf
    return jax.tree.unflatten(traced.structure, [*end, *outputs])


def _run_stage(
    plan: Plan,
    params: list[Any],
    carry: list[Any],
    inputs: list[Any],
    symbols: int | None,
    parallel: bool,
) -> tuple[list[Any], list[Any]]:
    """The carry after the last step, and the outputs at every step."""
    length = inputs[0].shape[0]
    env: Env = dict(plan.constants)
    env.update(zip(plan.params, params, strict=True))
    env = run(plan.once, run(plan.fixed, env))
    before = Before(plan, env, inputs, symbols)
    feed = Feed(
        weights=[group.weights(env) for group in plan.groups],
        extras=[[before.extra(item) for item in group.sums] for group in plan.groups],
        consts=[env[value] for value in plan.used_in_loop(ONCE)],
        inputs=[before[value] for value in plan.used_in_loop(BEFORE)],
    )
    run_loop = affine_loop if parallel and is_affine(plan) else loop
    ran: Any = run_loop(plan, length, feed, carry)
    end, stacks = ran
    per_step: Env = dict(zip(plan.stacked, stacks, strict=True))
    per_step.update((value, before[value]) for value in plan.used_after(BEFORE))
    per_step = run_over_time(plan.after, env, per_step)
    return end, [_at_every_step(atom, env, per_step, length) for atom in plan.outputs]


def _at_every_step(atom: Atom, once: Env, per_step: Env, length: int) -> Any:
    if isinstance(atom, Value) and atom in per_step:
        return per_step[atom]
    value = jnp.asarray(read(once, atom))
    return jnp.broadcast_to(value, (length, *value.shape))
