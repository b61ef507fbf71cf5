"""A step cut into stages, each with a loop of its own.

In a stack of cells layer 1 does not wait for layer 2: its loop can run to the end first, and what
layer 2 makes of its outputs is then one large product, where one loop would do it step by step.
The cut is found in the equations, from which leaves of the next carry need which of the last.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax

from charrnn_core.arrays import Leaves
from charrnn_core.engine.equations import HEAVY, Atom, Env, Equation, Value, read, run, wanted
from charrnn_core.engine.trace import Traced, trace

LeafSet: TypeAlias = frozenset[int]
"""Leaves of the carry, by their numbers."""

_NOTHING: LeafSet = frozenset()
_NO_STAGE = -1
"""The stage of a value that does not depend on the carry: every stage may compute it."""


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
    """Return the stages in order, one if nothing is gained; the last makes the outputs."""
    needs = _needed_leaves(whole)
    stage_of_leaf = _assign_stages(whole, needs)
    if whole.effects or max(stage_of_leaf, default=0) == 0:
        return [Stage(whole, tuple(range(len(whole.carry))), (), ())]
    stage_of = {
        value: max((stage_of_leaf[leaf] for leaf in leaves), default=_NO_STAGE)
        for value, leaves in needs.items()
    }
    return [
        _cut_out(whole, stage, stage_of_leaf, stage_of) for stage in range(max(stage_of_leaf) + 1)
    ]


def _cut_out(
    whole: Traced, stage: int, stage_of_leaf: Sequence[int], stage_of: dict[Value, int]
) -> Stage:
    """Return the stage with that number."""
    own = tuple(leaf for leaf, at in enumerate(stage_of_leaf) if at == stage)
    made = _unique(
        atom
        for atom in _read_after(whole, stage, stage_of_leaf, stage_of)
        if stage_of[atom] == stage
    )
    results = [
        *(whole.carry_out[leaf] for leaf in own),
        *(whole.outputs if stage == max(stage_of_leaf) else made),
    ]
    candidates = [e for e in whole.equations if stage_of[e.outputs[0]] in (_NO_STAGE, stage)]
    equations = wanted(candidates, results)
    atoms = [*(a for e in equations for a in e.inputs), *results]
    given = _unique(a for a in _values(atoms) if _NO_STAGE < stage_of[a] < stage)
    return Stage(_retrace(whole, equations, own, given, results), own, given, made)


def _read_after(
    whole: Traced, stage: int, stage_of_leaf: Sequence[int], stage_of: dict[Value, int]
) -> list[Value]:
    """Return the values that later stages and the outputs read."""
    later = [e for e in whole.equations if stage_of[e.outputs[0]] > stage]
    atoms = [atom for equation in later for atom in equation.inputs]
    atoms += [whole.carry_out[leaf] for leaf, at in enumerate(stage_of_leaf) if at > stage]
    return _values([*atoms, *whole.outputs])


def _needed_leaves(whole: Traced) -> dict[Value, LeafSet]:
    """Return for every value the leaves of the carry that it is made from."""
    needs = {value: frozenset({leaf}) for leaf, value in enumerate(whole.carry)}
    needs.update(dict.fromkeys([*whole.params, *whole.inputs, *whole.constants], _NOTHING))
    for equation in whole.equations:
        leaves = _NOTHING.union(*(needs[value] for value in equation.values_read))
        needs.update(dict.fromkeys(equation.outputs, leaves))
    return needs


def _assign_stages(whole: Traced, needs: dict[Value, LeafSet]) -> list[int]:
    """Return for every leaf of the carry the stage it belongs to.

    Leaves that need each other, over however many steps, share a stage. A leaf comes in a later
    stage than another if a product of the other, and of nothing that needs the leaf, feeds it.
    """
    direct = [needs[a] if isinstance(a, Value) else _NOTHING for a in whole.carry_out]
    reach = _transitive_closure(direct)
    stages = [0] * len(reach)
    # In the order of how much they need, no leaf comes before one that it needs.
    for leaf in sorted(range(len(reach)), key=lambda leaf: len(reach[leaf])):
        mates = frozenset(other for other in reach[leaf] if leaf in reach[other])
        feeding = wanted(whole.equations, [whole.carry_out[mate] for mate in mates])
        products = [needs[e.outputs[0]] for e in feeding if e.name in HEAVY]
        ahead = _NOTHING.union(*(leaves for leaves in products if not leaves & mates))
        stages[leaf] = max(
            [stages[other] for other in reach[leaf] - mates]
            + [stages[other] + 1 for other in ahead],
            default=0,
        )
    return stages


def _transitive_closure(needs: Sequence[LeafSet]) -> list[LeafSet]:
    """Return for every leaf itself and the leaves that it needs over however many steps.

    It is Warshall's algorithm: after round k all ways through the leaves 0 to k are known.

    Arguments:
        needs: for every leaf those that it needs after one step.

    >>> [sorted(leaves) for leaves in _transitive_closure([{1}, {2}, set(), {3}])]
    [[0, 1, 2], [1, 2], [2], [3]]
    """
    reach = [frozenset({leaf, *leaves}) for leaf, leaves in enumerate(needs)]
    for through in range(len(reach)):
        reach = [leaves | reach[through] if through in leaves else leaves for leaves in reach]
    return reach


def _values(atoms: Iterable[Atom]) -> list[Value]:
    return [atom for atom in atoms if isinstance(atom, Value)]


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))


def _retrace(
    whole: Traced,
    equations: Sequence[Equation],
    own: Collection[int],
    given: Sequence[Value],
    results: Sequence[Atom],
) -> Traced:
    """Trace the equations as a step of their own, whose input includes what is given."""
    carry, inputs = [whole.carry[leaf] for leaf in own], [*whole.inputs, *given]

    def step(params_: Leaves, carry_: Leaves, x: Leaves) -> tuple[Leaves, Leaves]:
        env: Env = dict(whole.constants)
        env.update(zip(whole.params, params_, strict=True))
        env.update(zip(carry, carry_, strict=True))
        env.update(zip(inputs, x, strict=True))
        env = run(equations, env)
        values = [jax.numpy.asarray(read(env, atom)) for atom in results]
        return values[: len(own)], values[len(own) :]

    of_params, of_carry, of_inputs = (
        [v.aval for v in values] for values in (whole.params, carry, inputs)
    )
    return trace(step, of_params, of_carry, of_inputs)
