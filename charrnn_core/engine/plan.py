"""A plan of a step: which of its equations must run at every step, and which need not.

`make_plan` sorts a step's equations:

* *once*: they depend on parameters only;
* *before* the loop, for all steps at once: they depend on the input but not on the carry;
* in the *loop*: the next carry depends on them and they depend on the carry;
* *after* the loop, for all steps at once: they depend on the carry, the next carry not on them.

Inside the loop, products of something carry-dependent with a weight are gathered with what is added
to them into *sums* ``s = l W + e``, and sums that share their left operand l into one `Group`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from charrnn_core.arrays import Array
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

Item: TypeAlias = Equation | Group
"""What a loop runs one after the other."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A step's equations, sorted by when they have to run.

    Arguments:
        params, carry, inputs: the step's arguments, flat.
        carry_out, outputs: its results, flat.
        constants: values the step closed over.
        fixed, once, before, after: equations outside the loop.
        loop: equations and groups inside it, in order.
    """

    params: tuple[Value, ...]
    carry: tuple[Value, ...]
    inputs: tuple[Value, ...]
    carry_out: tuple[Atom, ...]
    outputs: tuple[Atom, ...]
    constants: Mapping[Value, Array]
    fixed: tuple[Equation, ...] = ()
    once: tuple[Equation, ...] = ()
    before: tuple[Equation, ...] = ()
    loop: tuple[Item, ...] = ()
    after: tuple[Equation, ...] = ()

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Return the groups of the loop, in order."""
        return tuple(item for item in self.loop if isinstance(item, Group))

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Return the sums of all groups, in order."""
        return tuple(item for group in self.groups for item in group.sums)

    @cached_property
    def operands(self) -> tuple[Value, ...]:
        """Return what weights multiply inside the loop, each once."""
        return tuple(dict.fromkeys(v for group in self.groups for v in group.operands))

    def by_group(self, leaves: Iterable[Any]) -> list[list[Any]]:
        """Return what belongs to the sums, one after the other, as a list for each group."""
        each = iter(leaves)
        return [[next(each) for _ in group.sums] for group in self.groups]

    def used_in_loop(self, kind: int) -> tuple[Value, ...]:
        """Return the values of a kind that the loop's own equations or the next carry read."""
        read_here: list[Atom] = list(self.carry_out)
        read_here += [atom for item in self.loop for atom in _read(item)]
        return _of_kind(read_here, kind)

    def used_after(self, kind: int) -> tuple[Value, ...]:
        """Return the values of a kind that the outputs, or equations after the loop, read."""
        atoms = [*self.outputs, *(atom for equation in self.after for atom in equation.inputs)]
        return _of_kind(atoms, kind)

    @cached_property
    def stacked(self) -> tuple[Value, ...]:
        """Return the carry-dependent values that are wanted at every step outside the loop."""
        made = {value for equation in self.after for value in equation.outputs}
        return tuple(value for value in self.used_after(LOOP) if value not in made)


def _of_kind(atoms: Iterable[Atom], kind: int) -> tuple[Value, ...]:
    """Return the values of a kind, each once."""
    return tuple(dict.fromkeys(a for a in atoms if isinstance(a, Value) and a.kind == kind))


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
    atoms = [*(atom for equation in (*inside, *after) for atom in equation.inputs), *results]
    uses = Counter(atom for atom in atoms if isinstance(atom, Value))
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
        loop=tuple(_Grouper(inside, uses).items()),
        after=tuple(after),
    )


def _kind(equation: Equation) -> int:
    return equation.outputs[0].kind if equation.outputs else LOOP


def _split_loop(
    equations: list[Equation], carry_out: Sequence[Atom]
) -> tuple[list[Equation], list[Equation]]:
    """Return what the next carry needs, and the rest if it is worth a pass of its own."""
    stays = [e for e in equations if e.name in STAYS_PUT]
    roots = [*carry_out, *(value for e in stays for value in e.outputs)]
    inside = set(wanted(equations, roots))
    after = [e for e in equations if e not in inside]
    if not any(e.name in HEAVY for e in after):
        return equations, []
    return [e for e in equations if e in inside], after


class _Grouper:
    """Puts the products of a loop, and what is added to them, into groups.

    Additions are read as trees: a *root* is a total, its *terms* are what is added up, and the
    *inner* additions between the two are read by one other addition and by nothing else.

    Arguments:
        equations: the loop's, in their order.
        uses: how often each value is read, in the loop, after it, and as a result.
    """

    def __init__(self, equations: Sequence[Equation], uses: Counter[Value]) -> None:
        self._equations, self._uses = equations, uses
        self._products = {e.outputs[0]: p for e in equations if (p := as_product(e, LOOP))}
        self._additions = {e.outputs[0]: e for e in equations if e.name == "add"}
        self._inner = {
            value
            for addition in self._additions.values()
            for value in addition.values_read
            if value in self._additions and uses[value] == 1
        }
        self._only_reader = {v: e for e in equations for v in e.values_read if uses[v] == 1}

    def items(self) -> list[Item]:
        """Return the groups, and the equations that belong to none, each after what it reads."""
        roots = [value for value in self._additions if value not in self._inner]
        sums = [item for root in roots if (item := self._sum_at(root))]
        added = {product for item in sums for product in item.products}
        alone = [(v, product) for v, product in self._products.items() if product not in added]
        sums += [Sum(v, (product,), activation=self._activation(v)) for v, product in alone]
        absorbed = {value for item in sums for value in self._absorbed_by(item)}
        others = [e for e in self._equations if not absorbed.intersection(e.outputs)]
        return _in_order([*others, *_merged(sums)])

    def _sum_at(self, root: Value) -> Sum | None:
        """Return what is added up at a root as a sum, if there is a product in it."""
        terms = list(self._terms(root))
        own = [t for t in terms if isinstance(t, Value) and self._is_product_within(t, root)]
        if not own:
            return None
        others = [t for t in terms if t not in own]
        return Sum(
            root,
            products=tuple(self._products[t] for t in own),
            extra=tuple(t for t in others if t.kind < LOOP),
            rest=tuple(t for t in others if t.kind == LOOP),
            activation=self._activation(root),
        )

    def _is_product_within(self, term: Value, root: Value) -> bool:
        """Say whether a term is a product of the root's shape that nothing else reads."""
        alone = term in self._products and self._uses[term] == 1
        return alone and term.aval.shape == root.aval.shape

    def _terms(self, addition: Value) -> Iterator[Atom]:
        for atom in self._additions[addition].inputs:
            if isinstance(atom, Value) and atom in self._inner:
                yield from self._terms(atom)
            else:
                yield atom

    def _activation(self, value: Value) -> Equation | None:
        """Return the only equation that reads a value, if it is an activation."""
        reader = self._only_reader.get(value)
        return reader if reader is not None and is_activation(reader) else None

    def _absorbed_by(self, item: Sum) -> Iterator[Value]:
        """Yield the values that a sum computes, in place of their equations."""
        yield from (item.output, item.kept)
        yield from (product.equation.outputs[0] for product in item.products)
        if item.output in self._additions:
            yield from self._inner_additions(item.output)

    def _inner_additions(self, addition: Value) -> Iterator[Value]:
        for value in self._additions[addition].values_read:
            if value in self._inner:
                yield value
                yield from self._inner_additions(value)


def _merged(sums: Sequence[Sum]) -> list[Group]:
    """Return groups of sums that can share a product, and of one sum each for the others."""
    groups: dict[object, list[Sum]] = {}
    for item in sums:
        first, *others = item.products
        params = first.equation.source.params
        shared = (first.operand, params["precision"], params["preferred_element_type"])
        can_share = first.plain and not others and not item.rest
        groups.setdefault(shared if can_share else item, []).append(item)
    return [Group(tuple(group)) for group in groups.values()]


def _in_order(items: Sequence[Item]) -> list[Item]:
    """Return the items, each after those that make what it reads, else in their order."""
    makers = {value: item for item in items for value in _made(item)}
    ordered: dict[Item, None] = {}
    waiting = list(reversed(items))
    while waiting:
        needed = (makers[atom] for atom in _read(waiting[-1]) if atom in makers)
        missing = next((item for item in needed if item not in ordered), None)
        if missing is not None:
            waiting.append(missing)
        else:
            ordered[waiting.pop()] = None
    return list(ordered)


def _made(item: Item) -> list[Value]:
    return [s.kept for s in item.sums] if isinstance(item, Group) else list(item.outputs)


def _read(item: Item) -> list[Atom]:
    """Return what an item of the loop reads of the loop's values."""
    if isinstance(item, Equation):
        return list(item.inputs)
    return [*item.operands, *(atom for part in item.sums for atom in part.rest)]
