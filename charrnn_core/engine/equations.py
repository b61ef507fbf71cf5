"""A step's equations: what tracing finds, nested jits in place, in a form to sort and to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, JaxprEqn

from charrnn_core.arrays import Array, Leaves

FIXED, ONCE, BEFORE, LOOP = range(4)
"""What a value depends on: nothing, parameters, also the input, also the carry."""

_INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
HEAVY = {"dot_general", "conv_general_dilated"}
"""Primitives that cost far more than an operation on each element."""

STAYS_PUT = {"while", "cond"}
"""Batching changes what these compute: a loop runs to its longest row, a branch becomes both."""


class Value:
    """The result of an equation or an argument of the step."""

    __slots__ = ("aval", "kind")

    def __init__(self, aval: ShapedArray, kind: int) -> None:
        self.aval, self.kind = aval, kind


@dataclass(frozen=True, eq=False)
class Literal:
    """A number written into the step."""

    value: Any
    kind = FIXED


Atom: TypeAlias = Value | Literal
Env: TypeAlias = dict[Value, Array]
"""Arrays by the value that they are of."""


@dataclass(frozen=True, eq=False)
class Equation:
    """``outputs = primitive(inputs)``."""

    source: JaxprEqn
    inputs: tuple[Atom, ...]
    outputs: tuple[Value, ...]

    @property
    def name(self) -> str:
        """Return the name of the primitive."""
        return self.source.primitive.name

    @property
    def values_read(self) -> list[Value]:
        """Return the inputs that are not numbers written into the step."""
        return [atom for atom in self.inputs if isinstance(atom, Value)]

    def __call__(self, *values: Array) -> Leaves:
        """Return the outputs for these inputs."""
        primitive = self.source.primitive
        with self.source.ctx.manager:
            result = primitive.bind(*values, **primitive.get_bind_params(self.source.params))
        return list(result) if primitive.multiple_results else [result]

    def run(self, env: Env) -> None:
        """Compute the outputs into `env`."""
        results = self(*(read(env, atom) for atom in self.inputs))
        env.update(zip(self.outputs, results, strict=True))


def read(env: Mapping[Value, Array], atom: Atom) -> Array:
    """Return the array of an atom."""
    return atom.value if isinstance(atom, Literal) else env[atom]


def run(equations: Sequence[Equation], env: Env) -> Env:
    """Return a copy of `env` with what the equations compute."""
    env = dict(env)
    for equation in equations:
        equation.run(env)
    return env


def wanted(equations: Sequence[Equation], results: Sequence[Atom]) -> list[Equation]:
    """Return the equations that `results` depend on, in their order."""
    needed = {atom for atom in results if isinstance(atom, Value)}
    kept = []
    for equation in reversed(equations):
        if needed.intersection(equation.outputs):
            needed.update(equation.values_read)
            kept.append(equation)
    return kept[::-1]


Inside: TypeAlias = Callable[[JaxprEqn], ClosedJaxpr | None]
"""What an equation calls, to be put in its place; None for an equation that stays."""


def called_by_jit(equation: JaxprEqn) -> ClosedJaxpr | None:
    """Return what a nested jit calls; None for any other equation."""
    return equation.params.get(_INLINED.get(equation.primitive.name, ""))


def flatten(
    closed: ClosedJaxpr,
    arguments: Sequence[Atom],
    constants: Env,
    into: list[Equation],
    inside: Inside = called_by_jit,
) -> list[Atom]:
    """Append the equations of a jaxpr, those of nested jits in place, and return its results.

    Arguments:
        arguments: what its inputs are called outside.
        constants: gets the values that it closed over.
        into: gets the equations.
        inside: says what is put in the place of an equation.
    """
    jaxpr = closed.jaxpr
    env: dict[Any, Atom] = dict(zip(jaxpr.invars, arguments, strict=True))
    for variable, value in zip(jaxpr.constvars, closed.consts, strict=True):
        env[variable] = constant = Value(variable.aval, ONCE)
        constants[constant] = value

    def atom(v: Any) -> Atom:
        return Literal(v.val) if hasattr(v, "val") else env[v]

    for equation in jaxpr.eqns:
        inputs = tuple(map(atom, equation.invars))
        if (inner := inside(equation)) is not None:
            results = flatten(inner, inputs, constants, into, inside)
            env.update(zip(equation.outvars, results, strict=True))
            continue
        kind = max((item.kind for item in inputs), default=FIXED)
        if equation.primitive.name in STAYS_PUT and kind == BEFORE:
            kind = LOOP
        outputs = tuple(Value(v.aval, kind) for v in equation.outvars)
        env.update(zip(equation.outvars, outputs, strict=True))
        into.append(Equation(equation, inputs, outputs))
    return [atom(v) for v in jaxpr.outvars]
