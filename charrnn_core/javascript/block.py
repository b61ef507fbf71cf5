"""Orders what a piece of code computes, and writes it down, elementwise runs as single loops."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt

from charrnn_core.javascript.nodes import (
    ARRAYS,
    Constant,
    Elementwise,
    Node,
    Result,
    Statement,
    Stored,
    View,
    as_stored,
)
from charrnn_core.javascript.places import place

Item = Elementwise | Statement
"""What is done one after the other."""


class Program:
    """Names for all arrays of a program: constants with their numbers, and room for results."""

    def __init__(self) -> None:
        self.constants: list[npt.NDArray[Any]] = []
        self.room: list[str] = []
        self._names: dict[Any, str] = {}
        self._count = 0

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Return the name of an array of constants; equal ones share it."""
        key = value.dtype.str, value.tobytes()
        if key not in self._names:
            self._names[key] = f"k{len(self.constants)}"
            self.constants.append(value)
        return self._names[key]

    def array(self, size: int, dtype: str) -> str:
        """Return the name of a new array."""
        name = self.new("v")
        self.room.append(f"const {name}=new {ARRAYS[dtype]}({size});")
        return name

    def new(self, letter: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{letter}{self._count}"


class Block:
    """Code that computes some values from others, all of it, in an order found when it is written.

    What is elementwise and of one size becomes one loop, in which a value is a local variable; it
    is put into an array only if something outside the loop needs it.

    Arguments:
        program: where arrays get their names.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._items: list[Item] = []
        self._names: dict[Node, str] = {}

    def add(self, item: Item) -> Item:
        """Add what is to be done, after that which it reads."""
        self._items.append(item)
        return item

    def whole(self, node: Node) -> Node:
        """Return a node whose elements lie side by side in an array of its own, or will."""
        if not isinstance(node, View):
            return node
        copy = Elementwise(node.size, node.dtype, lambda a: a, [node])
        self._items.append(copy)
        return copy

    def write(self, results: Sequence[Node]) -> list[str]:
        """Return the lines that compute these results; `name` says where they are then."""
        items = _wanted(self._items, results)
        users = _users(items, results)
        done: set[Any] = set()
        lines: list[str] = []

        def ready(item: Item, among: Iterable[Any] = ()) -> bool:
            for node in item.inputs:
                maker = _maker(node)
                if maker in done or maker is None:
                    continue
                if maker not in among or isinstance(node, View) or node.size != _size(item):
                    return False
            return True

        while items:
            # A statement first: what is elementwise can then run in fewer and longer loops.
            able = [item for item in items if ready(item)]
            first = next((item for item in able if isinstance(item, Statement)), able[0])
            if isinstance(first, Statement):
                done.add(first)
                lines += self._statement(first)
            else:
                run: dict[Elementwise, None] = {}
                for item in items:
                    if isinstance(item, Elementwise) and item.size == first.size:
                        if ready(item, run):
                            run[item] = None
                done.update(run)
                lines += self._loop(list(run), users)
            items = [item for item in items if item not in done]
        return lines

    def name(self, node: Node) -> str:
        """Return an array that begins with a node's elements, once it has been computed."""
        if isinstance(node, Constant):
            return self.program.constant(as_stored(node.value, node.dtype))
        if isinstance(node, Stored):
            end = f"{node.start}+{node.size}"
            return f"{node.name}.subarray({node.start},{end})" if node.start else node.name
        return self._names[node]

    def _statement(self, statement: Statement) -> Sequence[str]:
        for result in statement.outputs:
            self._names[result] = self.program.array(result.size, result.dtype)
        lines = statement.write(
            *(self.name(node) for node in statement.inputs),
            *(self._names[node] for node in statement.outputs),
        )
        return ["\n".join(lines)]  # one item, for a long list of lines may be cut anywhere

    def _loop(self, run: Sequence[Elementwise], users: dict[Node, set[Any]]) -> list[str]:
        """Return the lines of one loop over the elements."""
        size = run[0].size
        known: dict[Node, str] = {}
        body = []
        for item in run:
            for node in item.inputs:
                if node not in known:
                    element = self._element(node)
                    known[node] = element
                    if not _is_number(element):
                        known[node] = self.program.new("x")
                        body.append(f"const {known[node]}={element};")
            known[item] = local = self.program.new("x")
            body.append(f"const {local}={item.expression(*(known[n] for n in item.inputs))};")
            if users[item] - set(run):
                self._names[item] = self.program.array(size, item.dtype)
                body.append(f"{self._names[item]}[{'i' if size > 1 else 0}]={local};")
        if size == 0:
            return []
        if size == 1:
            return ["{" + "".join(body) + "}"]
        return [f"for(let i=0;i<{size};i++){{" + "".join(body) + "}"]

    def _element(self, node: Node) -> str:
        """Return an element of a node in a loop over i."""
        index = "i" if node.size > 1 else "0"
        if isinstance(node, Constant):
            number = _uniform(node)
            return number if number is not None else f"{self.name(node)}[{index}]"
        source = node.behind
        if isinstance(node, View):
            index = place(node.table, "i", self.program.constant)
        if isinstance(source, Stored):
            index = f"{source.start}+{index}" if source.start else index
            return f"{source.name}[{index}]"
        return f"{self.name(source)}[{index}]"


def copied(target: str, source: str, size: int, start: str = "") -> str:
    """Return the line that copies an array of some size to a place in another.

    >>> copied("a", "b", 1), copied("a", "b", 3, "3*t"), copied("a", "b", 1, "t")
    ('a[0]=b[0];', 'a.set(b,3*t);', 'a[t]=b[0];')
    """
    if size == 1:
        return f"{target}[{start or 0}]={source}[0];"
    return f"{target}.set({source}{',' if start else ''}{start});"


def looped(variable: str, count: int, body: str) -> str:
    """Return a loop, or its body if that runs once.

    >>> looped("r", 3, "f(r);"), looped("r", 1, "f(r);")
    ('for(let r=0;r<3;r++){f(r);}', '{const r=0;f(r);}')
    """
    if count == 1:
        return f"{{const {variable}=0;{body}}}"
    return f"for(let {variable}=0;{variable}<{count};{variable}++){{{body}}}"


def _size(item: Item) -> int:
    return item.size if isinstance(item, Elementwise) else -1


def _maker(node: Node) -> Any:
    """Return what has to be done before a node can be read; None if nothing has."""
    behind = node.behind
    if isinstance(behind, Result):
        return behind.statement
    return behind if isinstance(behind, Elementwise) else None


def _wanted(items: Sequence[Item], results: Sequence[Node]) -> list[Item]:
    """Return the items that results depend on, in their order."""
    needed = {_maker(node) for node in results}
    kept = []
    for item in reversed(items):
        if item in needed:
            needed.update(map(_maker, item.inputs))
            kept.append(item)
    return kept[::-1]


def _users(items: Sequence[Item], results: Sequence[Node]) -> dict[Node, set[Any]]:
    """Return for every elementwise node what needs all of it, or an element of it in a loop."""
    users: dict[Node, set[Any]] = {item: set() for item in items if isinstance(item, Elementwise)}
    for item in items:
        for node in item.inputs:
            if node.behind in users:
                # A view, and a single element in a longer loop, are read from an array.
                aligned = node is node.behind and node.size == _size(item)
                users[node.behind].add(item if aligned else None)
    for node in results:
        if node.behind in users:
            users[node.behind].add(None)
    return users


def _uniform(node: Constant) -> str | None:
    """Return the number that a constant has everywhere, as an expression."""
    if node.size == 0 or not (node.value == node.value[0]).all():
        return None
    return number(node.value[0].item())


def number(value: Any) -> str:
    """Return a number as an expression.

    >>> number(-0.5), number(True), number(float("-inf"))
    ('(-0.5)', '1', '(-Infinity)')
    """
    if isinstance(value, bool):
        return str(int(value))
    text = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(str(value), repr(value))
    text = text.removesuffix(".0")
    return f"({text})" if text.startswith("-") else text


def _is_number(expression: str) -> bool:
    return expression[0].isdigit() and "[" not in expression or expression[0] == "("
