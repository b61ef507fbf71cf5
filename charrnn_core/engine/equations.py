"""A step's equations: what tracing finds, nested jits in place, in a form to sort and to run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FIXED, ONCE, BEFORE, LOOP = range(4)
"""What a value depends on: nothing, parameters, also the input, also the carry."""

_INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
HEAVY = {"dot_general", "conv_general_dilated"}
"""What costs far more than an operation on each element."""

STAYS_PUT = {"while", "cond"}
"""Batching changes what these compute: a loop runs to its longest row, a branch becomes both."""


class Value:
    """The result of an equation or an argument of the step."""

    __slots__ = ("aval", "kind")

    def __init__(self, aval: Any, kind: int) -> None:
        self.aval, self.kind = aval, kind


@dataclass(frozen=True, eq=False)
class Literal:
    """A number written into the step."""

    value: Any
    kind = FIXED


Atom = Value | Literal
Env = dict[Value, Any]


@dataclass(frozen=True, eq=False)
class Equation:
    """``outputs = primitive(inputs)``."""

    source: Any
    inputs: tuple[Atom, ...]
    outputs: tuple[Value, ...]

    @property
    def name(self) -> str:
        return self.source.primitive.name

    def __call__(self, *values: Any) -> list[Any]:
        """The outputs for these inputs."""
        primitive = self.source.primitive
        with self.source.ctx.manager:
            result = primitive.bind(*values, **primitive.get_bind_params(self.source.params))
        return list(result) if primitive.multiple_results else [result]

    def run(self, env: Env) -> None:
        """Compute the outputs into `env`."""
        results = self(*(read(env, atom) for atom in self.inputs))
        env.update(zip(self.outputs, results, strict=True))


def read(env: Env, atom: Atom) -> Any:
    """The value of an atom."""
    return atom.value if isinstance(atom, Literal) else env[atom]


def run(equations: Sequence[Equation], env: Env) -> Env:
    """A copy of `env` with what the equations compute."""
    env = dict(env)
    for equation in equations:
        equation.run(env)
    return env


def wanted(equations: Sequence[Equation], results: Sequence[Atom]) -> list[Equation]:
    """The equations that `results` depend on, in their order."""
    needed = {atom for atom in results if isinstance(atom, Value)}
    kept = []
    for equation in reversed(equations):
        if needed.intersection(equation.outputs):
            needed.update(atom for atom in equation.inputs if isinstance(atom, Value))
            kept.append(equation)
    return kept[::-1]


def flatten(
    closed: Any, arguments: Sequence[Atom], constants: dict[Value, Any], into: list[Equation]
) -> list[Atom]:
    """Append the equations of a jaxpr, those of nested jits in place; give its results."""
    jaxpr = closed.jaxpr
    env: dict[Any, Atom] = dict(zip(jaxpr.invars, arguments, strict=True))
    for variable, value in zip(jaxpr.constvars, closed.consts, strict=True):
        env[variable] = constant = Value(variable.aval, ONCE)
        constants[constant] = value

    def atom(v: Any) -> Atom:
        return Literal(v.val) if hasattr(v, "val") else env[v]

    for equation in jaxpr.eqns:
        inputs = tuple(map(atom, equation.invars))
        inner = equation.params.get(_INLINED.get(equation.primitive.name, ""))
        if inner is not None:
            results = flatten(inner, inputs, constants, into)
            env.update(zip(equation.outvars, results, strict=True))
            continue
        kind = max((item.kind for item in inputs), default=FIXED)
        if equation.primitive.name in STAYS_PUT and kind == BEFORE:
            kind = LOOP
        outputs = tuple(Value(v.aval, kind) for v in equation.outvars)
        env.update(zip(equation.outvars, outputs, strict=True))
        into.append(Equation(equation, inputs, outputs))
    return [atom(v) for v in jaxpr.outvars]
