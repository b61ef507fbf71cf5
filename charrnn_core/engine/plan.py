"""Reading a cell's step: which of its equations must run at every step, and which need not.

`make_plan` sorts a step's equations:

* *once*: they depend on parameters only;
* *before* the loop, for all steps at once: they depend on the input but not on the carry;
* in the *loop*: the next carry depends on them and they depend on the carry;
* *after* the loop, for all steps at once: they depend on the carry, the next carry not on them.

Inside the loop, products of something carry-dependent with a weight are gathered with what is added
to them into *sums* ``s = l W + e``, and sums that share their left operand l into one `Group`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from charrnn_core.engine.equations import (
    BEFORE,
    FIXED,
    HEAVY,
    LOOP,
    ONCE,
    STAYS_PUT,
    Atom,
    Equation,
    Value,
    wanted,
)
from charrnn_core.engine.gates import cut_gates
from charrnn_core.engine.products import Group, Sum, as_product, is_activation
from charrnn_core.engine.trace import Traced


@dataclass(frozen=True, eq=False)
class Plan:
    """A step's equations, sorted by when they have to run.

    Arguments:
        params, carry, inputs: the step's arguments, flat.
        carry_out, outputs: what it gives back, flat.
        constants: values the step closed over.
        fixed, once, before, after: equations outside the loop.
        loop: equations and groups inside it, in order.
    """

    params: tuple[Value, ...]
    carry: tuple[Value, ...]
    inputs: tuple[Value, ...]
    carry_out: tuple[Atom, ...]
    outputs: tuple[Atom, ...]
    constants: Mapping[Value, Any]
    fixed: tuple[Equation, ...] = ()
    once: tuple[Equation, ...] = ()
    before: tuple[Equation, ...] = ()
    loop: tuple[Equation | Group, ...] = ()
    after: tuple[Equation, ...] = ()

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        return tuple(item for item in self.loop if isinstance(item, Group))

    def used_in_loop(self, kind: int) -> tuple[Value, ...]:
        """Values of a kind that the loop's own equations or the next carry read."""
        read_here: list[Atom] = list(self.carry_out)
        read_here += [atom for item in self.loop for atom in _read(item)]
        return _unique(a for a in read_here if isinstance(a, Value) and a.kind == kind)

    def used_after(self, kind: int) -> tuple[Value, ...]:
        """Values of a kind that the outputs, or equations after the loop, read."""
        atoms = [*self.outputs, *(atom for equation in self.after for atom in equation.inputs)]
        return _unique(a for a in atoms if isinstance(a, Value) and a.kind == kind)

    @cached_property
    def stacked(self) -> tuple[Value, ...]:
        """Carry-dependent values that are wanted at every step outside the loop."""
        made = {value for equation in self.after for value in equation.outputs}
        return tuple(value for value in self.used_after(LOOP) if value not in made)


def _unique(values: Iterator[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))


def make_plan(traced: Traced) -> Plan:
    """Sort a step's equations."""
    constants = dict(traced.constants)
    results = [*traced.carry_out, *traced.outputs]
    equations, replaced = cut_gates(traced.equations, results, constants)
    results = [replaced.get(a, a) if isinstance(a, Value) else a for a in results]
    count = len(traced.carry)
    carry_out, outputs = tuple(results[:count]), tuple(results[count:])
    equations = wanted(equations, results)
    by_kind = {kind: [e for e in equations if _kind(e) == kind] for kind in range(4)}
    inside, after = _split_loop(by_kind[LOOP], carry_out)
    uses = Counter(atom for e in inside for atom in e.inputs if isinstance(atom, Value))
    uses.update(a for e in after for a in e.inputs if isinstance(a, Value))
    uses.update(a for a in results if isinstance(a, Value))
    return Plan(
        params=traced.params,
        carry=traced.carry,
        inputs=traced.inputs,
        carry_out=carry_out,
        outputs=outputs,
        constants=constants,
        fixed=tuple(by_kind[FIXED]),
        once=tuple(by_kind[ONCE]),
        before=tuple(by_kind[BEFORE]),
        loop=tuple(_group(inside, uses)),
        after=tuple(after),
    )


def _kind(equation: Equation) -> int:
    return equation.outputs[0].kind if equation.outputs else LOOP


def _split_loop(
    equations: list[Equation], carry_out: Sequence[Atom]
) -> tuple[list[Equation], list[Equation]]:
    """What the next carry needs, and the rest if it is worth a pass of its own."""
    stays = [e for e in equations if e.name in STAYS_PUT]
    roots = [*carry_out, *(value for e in stays for value in e.outputs)]
    inside = set(wanted(equations, roots))
    after = [e for e in equations if e not in inside]
    if not any(e.name in HEAVY for e in after):
        return equations, []
    return [e for e in equations if e in inside], after


def _group(equations: list[Equation], uses: Counter[Value]) -> list[Equation | Group]:
    """Put products and what is added to them into groups; leave other equations as they are."""
    products = {e.outputs[0]: product for e in equations if (product := as_product(e, LOOP))}
    adds = {e.outputs[0]: e for e in equations if e.name == "add"}
    inner = {
        atom
        for e in adds.values()
        for atom in e.inputs
        if isinstance(atom, Value) and atom in adds and uses[atom] == 1
    }

    def leaves(value: Atom) -> Iterator[Atom]:
        for atom in adds[value].inputs if value in adds else ():  # type: ignore[index]
            if atom in inner:
                yield from leaves(atom)
            else:
                yield atom

    readers = {a: e for e in equations for a in e.inputs if isinstance(a, Value) and uses[a] == 1}

    def activation(value: Value) -> Equation | None:
        reader = readers.get(value)
        return reader if reader is not None and is_activation(reader) else None

    sums, absorbed = [], set()
    for root in adds:
        if root in inner:
            continue
        terms = list(leaves(root))
        mine = [
            t
            for t in terms
            if t in products and uses[t] == 1 and t.aval.shape == root.aval.shape  # type: ignore
        ]
        if mine:
            others = [t for t in terms if t not in mine]
            extra = tuple(t for t in others if t.kind < LOOP)
            rest = tuple(t for t in others if t.kind == LOOP)
            mine_products = tuple(products[t] for t in mine)
            sums.append(Sum(root, mine_products, extra, rest, activation(root)))
            absorbed.update([*mine, root, *_inner_adds(root, adds, inner)])
    alone = [value for value in products if value not in absorbed]
    sums += [Sum(value, (products[value],), activation=activation(value)) for value in alone]
    absorbed.update(products)
    absorbed.update(item.kept for item in sums)
    return _in_order(equations, sums, absorbed)


def _inner_adds(root: Value, adds: Mapping[Value, Equation], inner: set[Any]) -> Iterator[Value]:
    for atom in adds[root].inputs:
        if isinstance(atom, Value) and atom in inner:
            yield atom
            yield from _inner_adds(atom, adds, inner)


def _in_order(
    equations: list[Equation], sums: list[Sum], absorbed: set[Value]
) -> list[Equation | Group]:
    """Merge sums over the same operand, and put everything after what it reads."""
    merged: dict[Any, list[Sum]] = {}
    for item in sums:
        first = item.products[0]
        single = len(item.products) == 1 and not item.rest and first.plain
        params = first.equation.source.params
        same = (first.operand, params["precision"], params["preferred_element_type"])
        merged.setdefault(same if single else item, []).append(item)
    items: list[Equation | Group] = [e for e in equations if not absorbed.intersection(e.outputs)]
    items += [Group(tuple(group)) for group in merged.values()]
    makers = {value: item for item in items for value in _made(item)}
    ordered: dict[Equation | Group, None] = {}

    def place(item: Equation | Group) -> None:
        if item not in ordered:
            for atom in _read(item):
                if isinstance(atom, Value) and atom in makers:
                    place(makers[atom])
            ordered[item] = None

    for item in items:
        place(item)
    return list(ordered)


def _made(item: Equation | Group) -> list[Value]:
    return [s.kept for s in item.sums] if isinstance(item, Group) else list(item.outputs)


def _read(item: Equation | Group) -> list[Atom]:
    """What an item of the loop reads of the loop's values."""
    if isinstance(item, Equation):
        return list(item.inputs)
    return [*item.operands, *(atom for part in item.sums for atom in part.rest)]
