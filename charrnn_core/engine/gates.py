"""Gates cut from one wide sum become sums of their own.

Many cells compute all gates as one product and cut it up: ``i, f, g, o = split(h W + x U + b)``.
Cutting the weights and what is added instead gives each gate a sum that the engine can read; it
merges their products again (`charrnn_core.engine.products.Group`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import jax
from jax import lax

from charrnn_core.arrays import Array
from charrnn_core.engine.equations import LOOP, Atom, Env, Equation, Value, flatten
from charrnn_core.engine.products import as_product


def cut_gates(
    equations: Sequence[Equation], results: Sequence[Atom], constants: Env
) -> tuple[list[Equation], dict[Value, Atom]]:
    """Cut wide sums before they are added up.

    Arguments:
        equations: a step's, in their order.
        results: what the step gives back.
        constants: values the step closed over; gets those of new equations.

    Returns:
        The equations, and what replaces which value.
    """
    cutter = _GateCutter(equations, results, constants)
    for equation in equations:
        cutter.add(equation)
    return cutter.equations, cutter.replaced


@dataclass(frozen=True)
class _Cut:
    """``output = source[..., start:stop]``."""

    output: Value
    source: Value
    start: int
    stop: int


class _GateCutter:
    """Builds a step's equations anew, with cuts moved from the sums to what is added up.

    Arguments: those of `cut_gates`.

    Fields:
        equations: the new ones so far.
        replaced: what takes the place of which value.
    """

    def __init__(
        self, equations: Sequence[Equation], results: Sequence[Atom], constants: Env
    ) -> None:
        self.equations: list[Equation] = []
        self.replaced: dict[Value, Atom] = {}
        self._constants = constants
        self._pieces: dict[tuple[Atom, tuple[int, ...]], list[Atom]] = {}
        self._results = {atom for atom in results if isinstance(atom, Value)}
        self._makers = {value: e for e in equations for value in e.outputs}
        self._readers: dict[Value, list[Equation]] = defaultdict(list)
        for equation in equations:
            for value in equation.values_read:
                self._readers[value].append(equation)

    def add(self, equation: Equation) -> None:
        """Append an equation, or what replaces it if it cuts a sum that can be cut before."""
        cuts = list(_cuts(equation))
        if cuts and self._is_for_cuts_alone(cuts[0].source):
            self.replaced.update((cut.output, self._slice(cut.source, cut)) for cut in cuts)
            return
        inputs = (self.replaced.get(a, a) if isinstance(a, Value) else a for a in equation.inputs)
        self.equations.append(Equation(equation.source, tuple(inputs), equation.outputs))

    def _is_for_cuts_alone(self, source: Value) -> bool:
        readers = self._readers[source]
        return all(any(_cuts(e)) for e in readers) and self._divides(source, len(readers))

    def _divides(self, atom: Atom, most_readers: int = 1) -> bool:
        """Say whether it is a product, or a sum with one, that no more equations read."""
        if not isinstance(atom, Value) or atom in self._results or atom not in self._makers:
            return False
        if len(self._readers[atom]) > most_readers:
            return False
        maker = self._makers[atom]
        if maker.name == "add":
            return any(map(self._divides, maker.inputs))
        product = as_product(maker, LOOP)
        return product is not None and product.plain

    def _slice(self, atom: Atom, cut: _Cut) -> Atom:
        """Return the columns of an atom that a cut takes of the sum which the atom is part of."""
        width = cut.source.aval.shape[-1]
        if not isinstance(atom, Value) or atom.aval.shape[-1:] != (width,):
            return atom  # it is added to every column
        if not self._divides(atom, len(self._readers[atom])):
            return self._piece(atom, cut)
        maker = self._makers[atom]
        if maker.name == "add":
            terms = (self._slice(term, cut) for term in maker.inputs)
            return self._append(lambda *terms: [lax.add(*terms)], *terms)[0]
        operand, weight = maker.inputs
        return self._append(maker, operand, self._piece(weight, cut))[0]

    def _piece(self, atom: Atom, cut: _Cut) -> Atom:
        """Return the columns of an atom that a cut takes, cutting it once for all cuts if it can.

        The gradient of pieces that are cut at once is one array; of single ones, a sum of arrays.
        """
        cuts = sorted({(c.start, c.stop) for e in self._readers[cut.source] for c in _cuts(e)})
        starts, stops = zip(*cuts, strict=True)
        axis = (atom.aval if isinstance(atom, Value) else atom.value).ndim - 1
        if starts != (0, *stops[:-1]) or stops[-1] != cut.source.aval.shape[-1]:
            one = partial(lax.slice_in_dim, start_index=cut.start, limit_index=cut.stop, axis=axis)
            return self._append(lambda a: [one(a)], atom)[0]
        if (atom, starts) not in self._pieces:
            sizes = [stop - start for start, stop in cuts]
            pieces = self._append(partial(lax.split, sizes=sizes, axis=axis), atom)
            self._pieces[atom, starts] = pieces
        return self._pieces[atom, starts][cuts.index((cut.start, cut.stop))]

    def _append(self, function: Callable[..., Sequence[Array]], *atoms: Atom) -> list[Atom]:
        """Append a function's equations, and return its results."""
        shapes = [atom.aval if isinstance(atom, Value) else atom.value for atom in atoms]
        closed = jax.make_jaxpr(function)(*shapes)
        return flatten(closed, atoms, self._constants, self.equations)


def _cuts(equation: Equation) -> Iterator[_Cut]:
    """Yield what a split or a slice takes from the last axis of a value of the loop."""
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
