"""What code is made of: values that have a name, an expression or a place in another value.

Every value is flat: as many numbers as it has elements, in the order of its last axis. What has
complex numbers is two values, the real parts and the imaginary parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

ARRAYS = {
    "bool": "Uint8Array",
    "int8": "Int8Array",
    "uint8": "Uint8Array",
    "int16": "Int16Array",
    "uint16": "Uint16Array",
    "int32": "Int32Array",
    "uint32": "Uint32Array",
    "bfloat16": "Float32Array",
    "float16": "Float32Array",
    "float32": "Float32Array",
    "float64": "Float64Array",
}
"""The typed arrays that hold values of each type."""


def as_stored(value: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Return numbers as they lie in the typed array for a type.

    >>> as_stored(np.array([True, False]), "bool").dtype
    dtype('uint8')
    """
    return np.asarray(value, ARRAYS[dtype].removesuffix("Array").lower())


_REAL = {"complex64": "float32", "complex128": "float64"}


class Node:
    """A flat value.

    Arguments:
        size: how many elements it has.
        dtype: the name of their type, a key of `ARRAYS`.
    """

    def __init__(self, size: int, dtype: str) -> None:
        self.size, self.dtype = size, dtype

    @property
    def behind(self) -> "Node":
        """Return the node that has to be computed before this one can be read."""
        return self


class Constant(Node):
    """Numbers that are known when the step is compiled."""

    def __init__(self, value: npt.NDArray[Any], dtype: str | None = None) -> None:
        super().__init__(value.size, dtype or value.dtype.name)
        self.value = value.reshape(-1)


class Stored(Node):
    """What lies in an array when the code begins, such as the carry.

    Arguments:
        name: of the array.
        start: where in it the first element is, as an expression; empty for 0.
    """

    def __init__(self, size: int, dtype: str, name: str, start: str = "") -> None:
        super().__init__(size, dtype)
        self.name, self.start = name, start


Expression = Callable[..., str]
"""From the names of an element of each input to the expression of an element of the result."""


class Elementwise(Node):
    """``result[i] = expression(inputs[i], ...)``; an input of one element has it for every i."""

    def __init__(
        self, size: int, dtype: str, expression: Expression, inputs: Sequence[Node]
    ) -> None:
        super().__init__(size, dtype)
        self.expression, self.inputs = expression, tuple(inputs)


class View(Node):
    """``result[i] = source[table[i]]``; of a view, it becomes a view of that one's source."""

    def __init__(self, source: Node, table: npt.NDArray[np.integer[Any]]) -> None:
        super().__init__(table.size, source.dtype)
        table = table.reshape(-1)
        if isinstance(source, View):
            source, table = source.source, source.table[table]
        self.source, self.table = source, table

    @property
    def behind(self) -> Node:
        return self.source


class Statement:
    """Lines of code that read whole arrays and fill others.

    Arguments:
        inputs: what they read.
        outputs: size and dtype of each array that they fill.
        write: from the names of the arrays, inputs then outputs, to the lines.
    """

    def __init__(
        self,
        inputs: Sequence[Node],
        outputs: Sequence[tuple[int, str]],
        write: Callable[..., Sequence[str]],
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(Result(size, dtype, self) for size, dtype in outputs)
        self.write = write


class Result(Node):
    """An array that a statement fills."""

    def __init__(self, size: int, dtype: str, statement: Statement) -> None:
        super().__init__(size, dtype)
        self.statement = statement


@dataclass(frozen=True, eq=False)
class Operand:
    """An array of an equation: its shape, its type, and the nodes that hold it.

    Arguments:
        shape, dtype: as in the equation; the type may be complex.
        nodes: one, or for complex numbers the real and the imaginary part.
        value: the array itself if it is known.
    """

    shape: tuple[int, ...]
    dtype: str
    nodes: tuple[Node, ...]
    value: npt.NDArray[Any] | None = None

    @classmethod
    def known(cls, value: npt.NDArray[Any]) -> "Operand":
        """Return an operand that is known when the step is compiled.

        >>> [node.value.tolist() for node in Operand.known(np.array([1 + 2j], "complex64")).nodes]
        [[1.0], [2.0]]
        """
        name = value.dtype.name
        if is_complex(name):
            parts = (Constant(np.real(value)), Constant(np.imag(value)))
        elif ARRAYS.get(name) == "Float32Array":
            parts = (Constant(np.asarray(value, np.float32), name),)
        else:
            parts = (Constant(value),)
        return cls(value.shape, name, parts, value)

    @property
    def node(self) -> Node:
        """Return the node of an operand that has no complex numbers."""
        (node,) = self.nodes
        return node

    @cached_property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape))

    @cached_property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Return the numbers of its elements, in its shape."""
        return np.arange(self.size).reshape(self.shape)

    def item(self, index: int) -> "Operand":
        """Return one item along the first axis.

        >>> Operand.known(np.array([[1, 2], [3, 4]], np.int32)).item(1).node.value.tolist()
        [3, 4]
        """
        if self.value is not None:
            return Operand.known(self.value[index])
        table = self.numbers[index]
        return Operand(table.shape, self.dtype, tuple(view(node, table) for node in self.nodes))


def is_complex(dtype: str) -> bool:
    """Say whether a type has complex numbers."""
    return dtype in _REAL


def real_type(dtype: str) -> str:
    """Return the type of the parts of complex numbers; of other types the type itself.

    >>> real_type("complex64"), real_type("int32")
    ('float32', 'int32')
    """
    return _REAL.get(dtype, dtype)


def view(source: Node, table: npt.NDArray[Any]) -> Node:
    """Return a view, or the source itself if that is all of it in its order."""
    table = table.reshape(-1)
    if isinstance(source, Constant):
        return Constant(source.value[table], source.dtype)
    if table.size == source.size and np.array_equal(table, np.arange(table.size)):
        return source
    return View(source, table)
