"""Loops and branches: what they call is code of its own, between arrays that it reads and fills."""

from collections.abc import Sequence

import numpy as np
from jax.extend.core import ClosedJaxpr

from charrnn_core.javascript.block import Block, copied
from charrnn_core.javascript.inside import held_and_carried
from charrnn_core.javascript.movement import put_together
from charrnn_core.javascript.nodes import Node, Operand, Stored
from charrnn_core.javascript.operations import Operation, lowers, stored

_SHORT = 16
"""Scans over so many items are written out, so that what follows from constants is one."""


@lowers("while")
def _while(op: Operation) -> Sequence[Operand]:
    tests, consts = op.params["cond_nconsts"], op.params["body_nconsts"]
    of_test, of_body, start = _cut(op.inputs, tests, consts)
    code = _Code(op)
    state = code.room(start)
    test, (goes_on,) = code.part(op.params["cond_jaxpr"], [*code.seen(of_test), *state])
    body, after = code.part(op.params["body_jaxpr"], [*code.seen(of_body), *state])
    lines = [
        *assigned(_nodes(state), code.names_of(start)),
        *("for(;;){", *test, f"if(!{goes_on}[0])break;", *body),
        *(*assigned(_nodes(state), after), "}"),
    ]
    return code.results(lines, state)


@lowers("cond")
def _cond(op: Operation) -> Sequence[Operand]:
    which, *operands = op.inputs
    branches = op.params["branches"]
    code = _Code(op)
    (index, *seen) = code.seen([which, *operands])
    shapes = zip(op.shapes, op.dtypes, strict=True)
    state = [stored(op.block.program, *each) for each in shapes]
    last = len(branches) - 1
    lines = [f"switch(Math.min(Math.max({code.name(index.node)}[0],0),{last})){{"]
    for i, branch in enumerate(branches):
        body, results = code.part(branch, seen)
        lines += [f"case {i}:{{", *body, *assigned(_nodes(state), results), "break;}"]
    return code.results([*lines, "}"], state)


@lowers("scan")
def _scan(op: Operation) -> Sequence[Operand]:
    q = op.params
    if q["length"] <= _SHORT:
        return _unrolled(op)
    held, start, items = _cut(op.inputs, *_counts(op))
    length, count = q["length"], len(start)
    code = _Code(op)
    state = code.room(start)
    turn = op.block.program.new("t")
    here = f"{length - 1}-{turn}" if q["reverse"] else turn
    views = [code.item(x, here) for x in code.seen(items)]
    body, results = code.part(q["jaxpr"], [*code.seen(held), *state, *views])
    shapes = list(zip(op.shapes, op.dtypes, strict=True))[count:]
    collected = [stored(op.block.program, *each) for each in shapes]
    split = len(_nodes(state))
    lines = [
        *assigned(_nodes(state), code.names_of(start)),
        *(f"for(let {turn}=0;{turn}<{length};{turn}++){{", *body),
    ]
    for node, result in zip(_nodes(collected), results[split:], strict=True):
        size = node.size // max(length, 1)
        lines.append(copied(node.name, f"{result}", size, f"({here})*{size}"))
    lines += [*assigned(_nodes(state), results[:split]), "}"]
    return code.results(lines, [*state, *collected])


class _Code:
    """The code of one loop or branch, a statement of the block around it.

    What it reads of that block are arrays whose names are known only when the block is written.
    They are given names here, as parameters of a scope of the code.
    """

    def __init__(self, op: Operation) -> None:
        self._op, self._program = op, op.block.program
        self._outer: list[Node] = []
        self._inner: list[str] = []

    def seen(self, operands: Sequence[Operand]) -> list[Operand]:
        """Return operands of the block around as the code sees them."""
        return [self._seen(operand) for operand in operands]

    def _seen(self, operand: Operand) -> Operand:
        if operand.value is not None:
            return operand
        nodes = tuple(Stored(n.size, n.dtype, self._named(n)) for n in operand.nodes)
        return Operand(operand.shape, operand.dtype, nodes)

    def _named(self, node: Node) -> str:
        name = self._program.new("p")
        self._outer.append(node)
        self._inner.append(name)
        return name

    def names_of(self, operands: Sequence[Operand]) -> list[str]:
        """Return the names, in the code, of arrays of the block around."""
        return [self.name(node) for x in self.seen(operands) for node in x.nodes]

    def name(self, node: Node) -> str:
        """Return the name of an array that the code sees."""
        return Block(self._program).name(node)

    def item(self, operand: Operand, turn: str) -> Operand:
        """Return the item of a scan's input that a turn reads."""
        shape = operand.shape[1:]
        size = int(np.prod(shape))
        start = f"({turn})*{size}"
        nodes = (Stored(size, node.dtype, self.name(node), start) for node in operand.nodes)
        return Operand(shape, operand.dtype, tuple(nodes))

    def room(self, operands: Sequence[Operand]) -> list[Operand]:
        """Return arrays for a state like these operands."""
        return [stored(self._program, x.shape, x.dtype) for x in operands]

    def part(self, closed: ClosedJaxpr, operands: Sequence[Operand]) -> tuple[list[str], list[str]]:
        """Return the lines of what is called, and the names of its results."""
        block = Block(self._program)
        results = self._op.inside(closed, operands, block)
        nodes = [block.whole(node) for x in results for node in x.nodes]
        lines = block.write(nodes)
        return lines, [block.name(node) for node in nodes]

    def results(self, lines: Sequence[str], outputs: Sequence[Operand]) -> list[Operand]:
        """Add the code to the block around, and return its results, which are in these arrays."""
        nodes = _nodes(outputs)

        def write(*names: str) -> list[str]:
            given, targets = names[: len(self._outer)], names[len(self._outer) :]
            scope = "".join(f"const {a}={b};" for a, b in zip(self._inner, given, strict=True))
            out = [copied(t, n.name, n.size) for t, n in zip(targets, nodes, strict=True) if n.size]
            return ["{" + scope, *lines, *out, "}"]

        made = iter(self._op.statement(self._outer, [(n.size, n.dtype) for n in nodes], write))
        return [Operand(x.shape, x.dtype, tuple(next(made) for _ in x.nodes)) for x in outputs]


def assigned(targets: Sequence[Stored], sources: Sequence[str]) -> list[str]:
    """Return the lines that fill arrays with others at once, even if some change places."""
    pairs = [
        (target, source)
        for target, source in zip(targets, sources, strict=True)
        if target.name != source and target.size
    ]
    moved = {target.name for target, _ in pairs}
    before, lines = [], []
    for i, (target, source) in enumerate(pairs):
        if source in moved:
            before.append(f"const m{i}={source}.slice();")
            source = f"m{i}"
        lines.append(copied(target.name, source, target.size))
    return ["{", *before, *lines, "}"] if before else lines


def _unrolled(op: Operation) -> Sequence[Operand]:
    """Return the results of a scan whose turns are written one after the other."""
    q, length = op.params, op.params["length"]
    consts, carries = _counts(op)
    held, carry, items = _cut(op.inputs, consts, carries)
    turns: list[list[Operand]] = []
    for turn in reversed(range(length)) if q["reverse"] else range(length):
        results = op.inside(q["jaxpr"], [*held, *carry, *(x.item(turn) for x in items)], op.block)
        carry, collected = _cut(results, carries)
        turns.append(collected)
    outputs = list(carry)
    for number, operands in enumerate(zip(*turns, strict=True), start=len(carry)):
        operands = operands[::-1] if q["reverse"] else operands
        places = np.arange(operands[0].size * length).reshape(length, -1)
        parts = zip(*(x.nodes for x in operands), strict=True)
        nodes = (put_together(op, nodes, list(places)) for nodes in parts)
        outputs.append(op.result(*nodes, output=number))
    return outputs


def _counts(op: Operation) -> tuple[int, int]:
    return held_and_carried(op.params["jaxpr"], [x.shape for x in op.inputs], op.shapes)


def _cut(inputs: Sequence[Operand], *counts: int) -> list[list[Operand]]:
    """Return the inputs in parts of so many, and the rest."""
    rest, parts = list(inputs), []
    for count in counts:
        parts.append(rest[:count])
        rest = rest[count:]
    return [*parts, rest]


def _nodes(operands: Sequence[Operand]) -> list[Stored]:
    return [node for x in operands for node in x.nodes if isinstance(node, Stored)]
