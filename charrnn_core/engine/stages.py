"""A step cut into stages, each with a loop of its own.

In a stack of cells layer 1 does not wait for layer 2: its loop can run to the end first, and what
layer 2 makes of its outputs is then one large product, where one loop would do it step by step.
The cut is found in the equations, from which parts of the next carry need which of the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import jax

from charrnn_core.engine.equations import HEAVY, Atom, Env, Equation, Value, read, run, wanted
from charrnn_core.engine.trace import Traced, trace


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a step: ``step(params, carry, (x, given)) -> (carry, made)``, all flat.

    Arguments:
        traced: its equations.
        carry: which leaves of the whole step's carry are its own.
        given: values of earlier stages that it reads.
        made: values that later stages or the outputs read.
    """

    traced: Traced
    carry: tuple[int, ...]
    given: tuple[Value, ...]
    made: tuple[Value, ...]


def cut_into_stages(whole: Traced) -> list[Stage]:
    """The stages in their order, one if there is nothing to gain; the last makes the outputs."""
    needs = _needs(whole)
    levels = _levels(whole, needs)
    if whole.effects or max(levels, default=0) == 0:
        return [Stage(whole, tuple(range(len(whole.carry))), (), ())]

    def level(value: Value) -> int:
        """The stage that makes a value; -1 if it does not depend on the carry."""
        return max((levels[i] for i in range(len(levels)) if needs[value] >> i & 1), default=-1)

    order = sorted(set(levels))
    stages: list[Stage] = []
    for now in order:
        own = tuple(i for i, at in enumerate(levels) if at == now)
        equations = [e for e in whole.equations if level(e.outputs[0]) in (-1, now)]
        later = [e for e in whole.equations if level(e.outputs[0]) > now]
        read_later = [a for e in later for a in e.inputs]
        read_later += [whole.carry_out[i] for i, at in enumerate(levels) if at > now]
        read_later += whole.outputs
        made = tuple(
            dict.fromkeys(a for a in read_later if isinstance(a, Value) and level(a) == now)
        )
        last = now == order[-1]
        results = [*(whole.carry_out[i] for i in own), *(whole.outputs if last else made)]
        mine = wanted(equations, results)
        atoms = [*(a for e in mine for a in e.inputs), *results]
        given = tuple(
            dict.fromkeys(a for a in atoms if isinstance(a, Value) and -1 < level(a) < now)
        )
        stages.append(Stage(_retrace(whole, mine, own, given, results), own, given, made))
    return stages


def _needs(whole: Traced) -> dict[Value, int]:
    """For every value the leaves of the carry it is made from, as bits."""
    needs = {value: 1 << i for i, value in enumerate(whole.carry)}
    needs.update(dict.fromkeys([*whole.params, *whole.inputs, *whole.constants], 0))
    for equation in whole.equations:
        bits = reduce(or_, (needs[a] for a in equation.inputs if isinstance(a, Value)), 0)
        needs.update(dict.fromkeys(equation.outputs, bits))
    return needs


def _levels(whole: Traced, needs: dict[Value, int]) -> list[int]:
    """For every leaf of the carry the stage it belongs to.

    Leaves that need each other, over however many steps, share a stage. A leaf comes in a later
    stage than another if a product of the other, and of nothing that needs the leaf, feeds it.
    """
    count = len(whole.carry)
    reach = [needs[a] if isinstance(a, Value) else 0 for a in whole.carry_out]
    reach = [bits | 1 << i for i, bits in enumerate(reach)]
    for k in range(count):
        reach = [bits | (reach[k] if bits >> k & 1 else 0) for bits in reach]

    def mates(i: int) -> int:
        return sum(1 << j for j in range(count) if reach[i] >> j & 1 and reach[j] >> i & 1)

    levels = [0] * count
    # In the order of how much they need, no leaf comes before one that it needs.
    for i in sorted(range(count), key=lambda i: reach[i].bit_count()):
        own = mates(i)
        feeding = wanted(whole.equations, [whole.carry_out[j] for j in _bits(own)])
        ahead = reduce(
            or_,
            (
                needs[e.outputs[0]]
                for e in feeding
                if e.name in HEAVY and not needs[e.outputs[0]] & own
            ),
            0,
        )
        levels[i] = max(
            [levels[j] for j in _bits(reach[i] & ~own)] + [levels[j] + 1 for j in _bits(ahead)],
            default=0,
        )
    return levels


def _bits(bits: int) -> list[int]:
    return [i for i in range(bits.bit_length()) if bits >> i & 1]


def _retrace(
    whole: Traced,
    equations: Sequence[Equation],
    own: Sequence[int],
    given: Sequence[Value],
    results: Sequence[Atom],
) -> Traced:
    """The equations as a step of their own, to which what is given is part of the input."""

    def step(params: Any, carry: Any, x: Any) -> Any:
        env: Env = dict(whole.constants)
        env.update(zip(whole.params, params, strict=True))
        env.update(zip((whole.carry[i] for i in own), carry, strict=True))
        env.update(zip([*whole.inputs, *given], x, strict=True))
        env = run(equations, env)
        values = [jax.numpy.asarray(read(env, atom)) for atom in results]
        return values[: len(own)], values[len(own) :]

    shapes = [
        [v.aval for v in values]
        for values in (whole.params, [whole.carry[i] for i in own], [*whole.inputs, *given])
    ]
    return trace(step, *shapes)
