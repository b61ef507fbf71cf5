"""A network's step as JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Params
from charrnn_core.javascript.block import Block, Program
from charrnn_core.javascript.control import assigned
from charrnn_core.javascript.lowering import lower, operand_of
from charrnn_core.javascript.nodes import Node, Operand, Stored, as_stored, is_complex, real_type
from charrnn_core.javascript.operations import stored
from charrnn_core.javascript.split import Numbers, Split, split_from_start
from charrnn_core.network.network import Network

_LINES_TOGETHER = 24
"""How many lines are a function: an engine compiles short functions well and soon."""


@dataclass(frozen=True)
class CarryLeaf:
    """A leaf of the carry, or the real or the imaginary parts of one that has complex numbers.

    Arguments:
        name: its path in the carry, such as ``[0]['c']``.
        shape: of one stream, without the axis of the batch.
        dtype: the type of its numbers.
        start: the numbers before the first character, flat.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: Numbers


@dataclass(frozen=True)
class Compiled:
    """A step as code.

    Arguments:
        code: JavaScript, which declares ``compiledStep(constants)``. With the arrays of
            `constants` it returns ``{carry, logits, step}``: the arrays of the leaves of the carry,
            the array of the logits, and ``step(symbol)``, which changes both. It uses the functions
            of ``numbers.js``. No text of the model is in it.
        constants: the arrays that it needs, in order.
        carry: the leaves of the carry, in order.
        symbols: V.
        source: the equations and numbers that it was made of.
    """

    code: str
    constants: tuple[Numbers, ...]
    carry: tuple[CarryLeaf, ...]
    symbols: int
    source: Split

    @property
    def short(self) -> str | None:
        """Name the type of fewer than 32 bits that the step computes in; None without one.

        A sum in such a type depends on its order, which is not the same in JavaScript.
        """
        types = [v.aval.dtype.name for e in self.source.equations for v in e.outputs]
        return next((name for name in types if name in ("bfloat16", "float16")), None)


def compile_step(network: Network, params: Params) -> Compiled:
    """Compile a network's step, of one stream, to JavaScript.

    Arguments:
        network: any network.
        params: its parameters; with a table of counts, the step predicts with it.

    Raises:
        ExportError: an operation of the cell has no counterpart; the message has the line in which
            its author wrote it.

    Example::

        compiled = compile_step(model.network, model.params)
    """
    return emit(split_from_start(network, params), network.symbols)


def carry_leaves(carry: Any) -> tuple[CarryLeaf, ...]:
    """Return the leaves of a carry of one stream.

    >>> [leaf.name for leaf in carry_leaves({"h": jnp.zeros((1, 2), jnp.complex64)})]
    ["['h'], real part", "['h'], imaginary part"]
    """
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(carry):
        name, value = jax.tree_util.keystr(path), np.asarray(leaf)
        parts = {"": value}
        if is_complex(value.dtype.name):
            parts = {", real part": np.real(value), ", imaginary part": np.imag(value)}
        kind = real_type(value.dtype.name)
        for part, numbers in parts.items():
            start = as_stored(numbers.reshape(-1), kind)
            leaves.append(CarryLeaf(f"{name}{part}", value.shape[1:], kind, start))
    return tuple(leaves)


def emit(found: Split, symbols: int) -> Compiled:
    """Write the code of a step whose equations are sorted."""
    program = Program()
    block = Block(program)
    known = {value: Operand.known(array) for value, array in found.constants.items()}
    for value in found.carry:
        known[value] = stored(program, value.aval.shape, value.aval.dtype.name)
    ids = stored(program, (1,), "int32")
    known[found.symbol] = ids
    symbol = ids.node
    assert isinstance(symbol, Stored)
    for value, table in found.tables.items():
        known[value] = _row(program, table, f"{symbol.name}[0]")
    operands = lower(found.equations, known, block)
    shape = jax.ShapeDtypeStruct((1, symbols), jnp.float32)
    logits = stored(program, shape.shape, "float32")
    results = [operand_of(found.logits, operands, shape)]
    results += [
        operand_of(atom, operands, value.aval)
        for atom, value in zip(found.after, found.carry, strict=True)
    ]
    nodes = [block.whole(node) for operand in results for node in operand.nodes]
    lines = block.write(nodes)
    homes = [*_stored([logits]), *_stored([known[value] for value in found.carry])]
    lines.append("\n".join(assigned(homes, [block.name(node) for node in nodes])))
    code = _module(program, lines, symbol.name, homes[1:], homes[0].name)
    return Compiled(code, tuple(program.constants), carry_leaves(found.start), symbols, found)


def _row(program: Program, table: Numbers, symbol: str) -> Operand:
    """Return the row of a table for the symbol that is read."""
    shape = table.shape[1:]
    size = int(np.prod(shape))
    nodes: list[Node] = []
    for part in Operand.known(table).nodes:
        name = Block(program).name(part)
        nodes.append(Stored(size, part.dtype, name, symbol if size == 1 else f"{size}*{symbol}"))
    return Operand(shape, table.dtype.name, tuple(nodes))


def _stored(operands: Sequence[Operand]) -> list[Stored]:
    return [node for x in operands for node in x.nodes if isinstance(node, Stored)]


def _module(
    program: Program, lines: Sequence[str], symbol: str, carry: Sequence[Stored], logits: str
) -> str:
    """Return the code around the lines of a step."""
    constants = [f"const k{i}=constants[{i}];" for i in range(len(program.constants))]
    starts = range(0, len(lines), _LINES_TOGETHER)
    parts = [
        "\n".join([f"function part{n}(){{", *lines[at : at + _LINES_TOGETHER], "}"])
        for n, at in enumerate(starts)
    ]
    calls = "".join(f"part{n}();" for n in range(len(parts)))
    return "\n".join(
        [
            "function compiledStep(constants){",
            *constants,
            *program.room,
            *parts,
            f"const carry=[{','.join(node.name for node in carry)}];",
            f"function step(symbol){{{symbol}[0]=symbol;{calls}return {logits};}}",
            f"return {{carry,logits:{logits},step}};",
            "}\n",
        ]
    )
