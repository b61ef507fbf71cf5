"""Gates cut from one wide sum become sums of their own.

Many cells compute all gates as one product and cut it up: ``i, f, g, o = split(h W + x U + b)``.
Cutting the weights and what is added instead gives each gate a sum that the engine can read; it
merges their products again (`charrnn_core.engine.products.Group`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import jax
from jax import lax

from charrnn_core.engine.equations import LOOP, Atom, Equation, Value, flatten
from charrnn_core.engine.products import as_product


@dataclass(frozen=True)
class _Cut:
    """``output = source[..., start:stop]``."""

    output: Value
    source: Value
    start: int
    stop: int


def cut_gates(
    equations: Sequence[Equation], results: Sequence[Atom], constants: dict[Value, Any]
) -> tuple[list[Equation], dict[Value, Atom]]:
    """The equations with wide sums cut before they are added up, and what replaces which value."""
    makers = {value: e for e in equations for value in e.outputs}
    readers: dict[Atom, list[Equation]] = defaultdict(list)
    for equation in equations:
        for atom in equation.inputs:
            readers[atom].append(equation)
    kept = {atom for atom in results if isinstance(atom, Value)}

    def divides(value: Atom, readers_left: int) -> bool:
        """Whether it is a product or a sum with one that nothing else reads."""
        if not isinstance(value, Value) or value in kept or value not in makers:
            return False
        if len(readers[value]) > readers_left:
            return False
        maker = makers[value]
        if maker.name == "add":
            return any(divides(atom, 1) for atom in maker.inputs)
        product = as_product(maker, LOOP)
        return product is not None and product.plain

    new: list[Equation] = []
    replaced: dict[Value, Atom] = {}

    def emit(function: Callable[..., Any], *atoms: Atom) -> Atom:
        shapes = [atom.aval if isinstance(atom, Value) else atom.value for atom in atoms]
        return flatten(jax.make_jaxpr(function)(*shapes), atoms, constants, new)[0]

    def cut(value: Atom, start: int, stop: int, width: int) -> Atom:
        if not _is_wide(value, width):
            return value  # it is added to every column
        if divides(value, len(readers[value])):
            maker = makers[value]  # type: ignore[index]  # only values divide
            if maker.name == "add":
                return emit(lax.add, *(cut(atom, start, stop, width) for atom in maker.inputs))
            operand, weight = maker.inputs

            def multiply(operand: Any, weight: Any) -> Any:
                return maker(operand, lax.slice_in_dim(weight, start, stop, axis=1))[0]

            return emit(multiply, operand, weight)
        return emit(lambda whole: lax.slice_in_dim(whole, start, stop, axis=-1), value)

    for equation in equations:
        cuts = list(_cuts(equation))
        source = equation.inputs[0] if cuts else None
        if source is not None and all(_is_cut(e) for e in readers[source]):
            if divides(source, len(readers[source])):
                width = source.aval.shape[-1]  # type: ignore[union-attr]  # a cut's is a value
                replaced.update((c.output, cut(c.source, c.start, c.stop, width)) for c in cuts)
                continue
        new.append(_with_inputs(equation, replaced))
    return new, replaced


def _is_wide(atom: Atom, width: int) -> bool:
    """Whether an atom has a column for each of the sum's, which is `width` wide."""
    return isinstance(atom, Value) and atom.aval.shape[-1:] == (width,)


def _with_inputs(equation: Equation, replaced: dict[Value, Atom]) -> Equation:
    inputs = tuple(replaced.get(a, a) if isinstance(a, Value) else a for a in equation.inputs)
    return Equation(equation.source, inputs, equation.outputs)


def _is_cut(equation: Equation) -> bool:
    return any(True for _ in _cuts(equation))


def _cuts(equation: Equation) -> Iterable[_Cut]:
    """What a split or a slice takes from the last axis of a value of the loop."""
    source = equation.inputs[0] if equation.inputs else None
    if not isinstance(source, Value) or source.kind != LOOP:
        return
    shape, params = source.aval.shape, equation.source.params
    last = len(shape) - 1
    if equation.name == "split" and params["axis"] == last:
        stops = list(accumulate(params["sizes"]))
        starts = [0, *stops[:-1]]
        for output, start, stop in zip(equation.outputs, starts, stops, strict=True):
            yield _Cut(output, source, start, stop)
    elif equation.name == "slice" and not params["strides"]:
        starts, stops = params["start_indices"], params["limit_indices"]
        if starts[:last] == (0,) * last and stops[:last] == shape[:last]:
            yield _Cut(equation.outputs[0], source, starts[last], stops[last])
