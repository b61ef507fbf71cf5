"""The equations of a network's step, sorted by what a value depends on.

What follows from parameters alone is computed here, once. What follows from the symbol that is read
becomes a table with a row for each symbol, unless it is made of less in a way that costs little:
the one-hot vector of a symbol, say. The rest is left to run for each character.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.engine.equations import BEFORE, LOOP, Atom, Env, Equation, Value, run, wanted
from charrnn_core.engine.trace import Traced, trace
from charrnn_core.javascript.elementwise import ELEMENTWISE
from charrnn_core.javascript.inside import called
from charrnn_core.javascript.movement import MOVES
from charrnn_core.network.counts import COUNTS, Counts
from charrnn_core.network.network import Network

_CHEAP = ELEMENTWISE | MOVES
_SYMBOLS_AT_A_TIME = 128

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Split:
    """A step: ``logits, carry' = step(carry, symbol)``, for one stream.

    Arguments:
        start: the carry before the first character, of one stream.
        carry: its leaves, ``[1, ...]`` each.
        symbol: what is read, int32[1].
        constants: what follows from parameters alone.
        tables: what follows from the symbol, ``[V, ...]``: a row for each.
        equations: what is left, in order.
        logits: float32[1,V].
        after: the leaves of the next carry.
    """

    start: Carry
    carry: tuple[Value, ...]
    symbol: Value
    constants: dict[Value, Numbers]
    tables: dict[Value, Numbers]
    equations: tuple[Equation, ...]
    logits: Atom
    after: tuple[Atom, ...]


def split_from_start(network: Network, params: Params) -> Split:
    """Sort the equations of a network's step, for one stream from its first character on.

    Arguments:
        network: any network.
        params: its parameters; with a table of counts, the step predicts with it.
    """
    network = network if COUNTS in params else replace(network, counts=Counts())
    return split(network, params, network.initial_carry(jax.tree.map(jnp.asarray, params), 1))


def split(network: Network, params: Params, carry: Carry) -> Split:
    """Sort the equations of a network's step.

    Arguments:
        network, params: any network.
        carry: the one before the first character, of one stream.
    """
    plain = replace(network, unroll_mode="scan")

    def step(params: Params, carry: Carry, ids: Array) -> tuple[Carry, Tree]:
        logits, after = plain.step(params, carry, ids)
        return after, logits

    ids = jax.ShapeDtypeStruct((1,), jnp.int32)
    traced = trace(step, params, carry, ids, called)
    (symbol,), (logits,) = traced.inputs, traced.outputs
    results = [*traced.carry_out, logits]
    of_symbol = [equation for equation in traced.equations if _kind(equation) == BEFORE]
    in_step = [equation for equation in traced.equations if _kind(equation) == LOOP]
    needed = [v for equation in in_step for v in equation.values_read]
    needed += [atom for atom in results if isinstance(atom, Value)]
    rows, cheap = _looked_up([v for v in needed if v.kind == BEFORE], of_symbol, symbol)
    equations = [e for e in traced.equations if e in cheap or _kind(e) == LOOP]
    needed += [v for equation in cheap for v in equation.values_read]
    once = list(dict.fromkeys(v for v in needed if v.kind < BEFORE))
    constants, tables = _computed(traced, params, once, rows, of_symbol, network.symbols)
    after = traced.carry_out
    return Split(carry, traced.carry, symbol, constants, tables, tuple(equations), logits, after)


def _kind(equation: Equation) -> int:
    return equation.outputs[0].kind


def _looked_up(
    needed: Sequence[Value], of_symbol: Sequence[Equation], symbol: Value
) -> tuple[list[Value], set[Equation]]:
    """Return the values to make tables of, and the equations to run for each character instead.

    An operation on elements, or one that moves them, runs for each character if the table of its
    result would be longer than those of what it reads.
    """
    maker = {value: equation for equation in of_symbol for value in equation.outputs}
    rows: dict[Value, None] = {}
    cheap: set[Equation] = set()
    waiting = list(needed)
    while waiting:
        value = waiting.pop()
        if value is symbol or value in rows:
            continue
        equation = maker[value]
        read = [v for v in equation.values_read if v.kind == BEFORE]
        width = sum(_size(v) for v in set(read) if v is not symbol)
        if equation in cheap or (equation.name in _CHEAP and _size(value) > width):
            cheap.add(equation)
            waiting += read
        else:
            rows[value] = None
    return list(rows), cheap


def _size(value: Value) -> int:
    return int(np.prod(value.aval.shape))


def _computed(
    traced: Traced,
    params: Params,
    once: Sequence[Value],
    rows: Sequence[Value],
    of_symbol: Sequence[Equation],
    symbols: int,
) -> tuple[dict[Value, Numbers], dict[Value, Numbers]]:
    """Return the numbers of values that follow from parameters, and those for each symbol."""
    for_rows = wanted(of_symbol, rows)
    early = [e for e in traced.equations if _kind(e) < BEFORE]
    early = wanted(early, [*once, *(v for e in for_rows for v in e.values_read)])
    (symbol,) = traced.inputs

    @jax.jit
    def numbers(leaves: Sequence[Array]) -> tuple[Tree, Tree]:
        env: Env = dict(traced.constants)
        env.update(zip(traced.params, leaves, strict=True))
        env = run(early, env)

        def of(number: Array) -> list[Array]:
            found = run(for_rows, {**env, symbol: number[None]})
            return [found[value] for value in rows]

        every = jnp.arange(symbols, dtype=jnp.int32)
        some = min(symbols, _SYMBOLS_AT_A_TIME)
        tables = jax.lax.map(of, every, batch_size=some) if rows else []
        return [env[value] for value in once], tables

    constants, tables = jax.device_get(numbers(jax.tree.leaves(params)))
    return (
        dict(zip(once, map(np.asarray, constants), strict=True)),
        dict(zip(rows, map(np.asarray, tables), strict=True)),
    )
