"""A loop whose every step is ``h' = a h + b``, element by element, done in logarithmic depth.

With a and b known before the loop, all steps follow from an associative scan: first pairs of steps
are put together, then pairs of pairs. That is about twice the arithmetic of a loop, in log T rounds
instead of T, which is what an accelerator is good at and a CPU is not.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves
from charrnn_core.engine.equations import (
    BEFORE,
    LOOP,
    ONCE,
    STAYS_PUT,
    Atom,
    Env,
    Equation,
    Value,
    run,
    wanted,
)
from charrnn_core.engine.forward import Feed, Ran, run_body
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import run_over_time

_CARRY_AMONG_INPUTS = {
    "add": ({0}, {1}, {0, 1}),
    "copy": ({0},),
    "div": ({0},),
    "mul": ({0}, {1}),
    "neg": ({0},),
    "select_n": ({1}, {2}, {1, 2}),
    "sub": ({0}, {1}, {0, 1}),
}
"""By primitive, the sets of inputs in which, taken together, it is affine element by element."""


def is_affine(plan: Plan) -> bool:
    """Say whether every leaf of the next carry is ``a h + b`` of that leaf, element by element.

    >>> from charrnn_core.engine.plan import make_plan
    >>> from charrnn_core.engine.trace import trace
    >>> affine = lambda a, h, x: (a * h + x, h)
    >>> curved = lambda a, h, x: (jnp.tanh(h), h)
    >>> h = jnp.ones((2, 3))
    >>> [is_affine(make_plan(trace(step, h, h, h))) for step in (affine, curved)]
    [True, False]
    """
    equations = [item for item in plan.loop if isinstance(item, Equation)]
    if len(equations) < len(plan.loop) or any(e.name in STAYS_PUT for e in equations):
        return False
    if not all(jnp.issubdtype(leaf.aval.dtype, jnp.inexact) for leaf in plan.carry):
        return False
    origin: dict[Atom, Value] = {leaf: leaf for leaf in plan.carry}
    for equation in wanted(equations, plan.carry_out):
        dependent = {i for i, atom in enumerate(equation.inputs) if atom.kind == LOOP}
        leaves = {origin[equation.inputs[i]] for i in dependent}
        if dependent not in _CARRY_AMONG_INPUTS.get(equation.name, ()) or len(leaves) > 1:
            return False
        origin[equation.outputs[0]] = leaves.pop()
    pairs = zip(plan.carry, plan.carry_out, strict=True)
    return all(after.kind < LOOP or origin[after] is before for before, after in pairs)


def affine_loop(plan: Plan, length: int, feed: Feed, carry: Leaves) -> Ran:
    """Compute what `charrnn_core.engine.loop.loop` does, for a plan that `is_affine`."""

    def coefficients(inputs: Leaves) -> tuple[Leaves, Leaves]:
        def step(carry: Leaves) -> Leaves:
            return run_body(plan, carry, inputs, feed.consts, lambda *_: [])[1]

        zeros, ones = ([f(leaf) for leaf in carry] for f in (jnp.zeros_like, jnp.ones_like))
        return jax.jvp(step, (zeros,), (ones,))

    b, a = jax.vmap(coefficients, axis_size=length)(feed.inputs)
    after = [recurrence(*item) for item in zip(a, b, carry, strict=True)]
    before = [jnp.concatenate([h[None], hs[:-1]]) for h, hs in zip(carry, after, strict=True)]
    per_step: Env = dict(zip(plan.carry, before, strict=True))
    per_step.update(zip(plan.used_in_loop(BEFORE), feed.inputs, strict=True))
    once = run(plan.fixed, dict(zip(plan.used_in_loop(ONCE), feed.consts, strict=True)))
    equations = [item for item in plan.loop if isinstance(item, Equation)]
    per_step = run_over_time(wanted(equations, plan.stacked), once, per_step)
    return [hs[-1] for hs in after], [per_step[value] for value in plan.stacked]


_Pair: TypeAlias = tuple[Array, Array]


@jax.custom_vjp
def recurrence(a: Array, b: Array, h: Array) -> Array:
    """Compute ``h_t = a_t h_{t-1} + b_t`` for all t, by an associative scan.

    Arguments:
        a, b: ``float[T,...]``.
        h: ``float[...]``, before the first step.

    Returns:
        ``float[T,...]``. Its backward pass is a recurrence of the same kind, in reverse.

    Source: Martin and Cundy 2018, Parallelizing Linear Recurrent Neural Nets Over Sequence Length,
    arXiv 1709.04057.

    >>> recurrence(jnp.array([2.0, 3.0]), jnp.array([1.0, 0.0]), jnp.array(5.0)).tolist()
    [11.0, 33.0]
    """
    return _scan(a, b.at[0].add(a[0] * h))


def _scan(a: Array, b: Array, reverse: bool = False) -> Array:
    def compose(first: _Pair, second: _Pair) -> _Pair:
        (a1, b1), (a2, b2) = first, second
        return a1 * a2, a2 * b1 + b2

    return jax.lax.associative_scan(compose, (a, b), reverse=reverse)[1]


def _forward(a: Array, b: Array, h: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    hs = recurrence(a, b, h)
    return hs, (a, h, hs)


def _backward(
    residuals: tuple[Array, Array, Array], gradients: Array
) -> tuple[Array, Array, Array]:
    """Return, with ``g_t = gradient_t + a_{t+1} g_{t+1}``: g for b, ``g_t h_{t-1}`` for a."""
    a, h, hs = residuals
    g = _scan(jnp.concatenate([a[1:], jnp.zeros_like(a[:1])]), gradients, reverse=True)
    before = jnp.concatenate([h[None], hs[:-1]])
    return g * before, g, a[0] * g[0]


recurrence.defvjp(_forward, _backward)
