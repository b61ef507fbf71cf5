"""Gates: what a step passes through a logistic function, and how often it is open or closed."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.extend.core import ClosedJaxpr, JaxprEqn

from charrnn_core.arrays import Array, Carry, Ids, Params, Reset
from charrnn_core.engine.equations import called_by_jit, read, run
from charrnn_core.engine.trace import Traced, trace
from charrnn_core.engine.unroll import restart
from charrnn_core.inspection.names import assigned_name
from charrnn_core.network.calling import begin, take_step
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program
from charrnn_core.network.reading import Lookup
from charrnn_core.text.split import Piece

CLOSED, OPEN = 0.1, 0.9
"""A gate below the one is closed, above the other open."""

_LOGISTIC = ("logistic", "sigmoid")
_STEPS = 512


@dataclass(frozen=True)
class GateUse:
    """How a gate is used over a text.

    Fields:
        name: what its author's line assigns it to, such as ``f``; else ``gate`` and a number.
        closed: for each of its units the share of the time that it is closed.
        open: the share of the time that it is open.
    """

    name: str
    closed: npt.NDArray[np.float64]
    open: npt.NDArray[np.float64]


def gate_uses(network: Network, params: Params, pieces: Sequence[Piece]) -> list[GateUse]:
    """Find the gates of a network's cell, and how often they are open or closed over a text.

    Cells need not say what their gates are. A gate is what a step computes with a logistic function
    (``flax.linen.sigmoid``, ``jax.nn.sigmoid``, ``jax.lax.logistic``) and which has one row for
    each stream; it has the name of the variable that the author's line assigns, so that
    ``f = nn.sigmoid(...)`` is gate f. Gates of other kinds, exponential ones or those inside of a
    loop, are not found.

    Arguments:
        network, params: those of a model.
        pieces: at least one character in all; each begins with a fresh carry.

    Source: Karpathy, Johnson and Fei-Fei 2015, arXiv 1506.02078, whose figure has a dot for each
    unit at the shares of time that it is below 0.1 and above 0.9.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> uses = gate_uses(network, network.init(jax.random.key(0)), [Piece(0, np.arange(5))])
    >>> [(use.name, use.open.shape) for use in uses]
    [('gate 1', (4,)), ('gate 2', (4,))]
    """
    gates = _Gates(network, params)
    if not gates.found:
        return []
    counts, read_in_all, program = [], 0, Program(gates.count)
    for piece in pieces:
        ids = np.concatenate([[piece.before], piece.ids]).astype(np.int32)
        read_in_all += len(ids)
        carry = network.initial_carry(params, 1)
        for at in range(0, len(ids), _STEPS):
            some = ids[at : at + _STEPS]
            counted = np.arange(_STEPS) < len(some)
            block = np.pad(some, (0, _STEPS - len(some)))[:, None]
            carry, shares = program(params, carry, block, counted)
            counts.append([np.asarray(each, np.float64) for each in shares])
    totals = [np.sum(each, axis=0) / read_in_all for each in zip(*counts, strict=True)]
    return [GateUse(name, *total) for name, total in zip(gates.names(), totals, strict=True)]


class _Gates:
    """The equations of a step that make its gates.

    Fields:
        found: the values of the gates.
    """

    def __init__(self, network: Network, params: Params) -> None:
        self._network = network
        carry = jax.eval_shape(self._fresh, params["cell"])
        x = jax.ShapeDtypeStruct((1, network.in_features), jnp.float32)
        self._traced: Traced = trace(self._step, params["cell"], carry, x, _inside)
        self.found = {
            equation.outputs[0]: equation
            for equation in self._traced.equations
            if _is_logistic(equation.source) and equation.outputs[0].aval.shape[:1] == (1,)
        }

    def names(self) -> list[str]:
        """Return the gates' names: a second f is ``f (2)``."""
        names: list[str] = []
        for i, equation in enumerate(self.found.values()):
            name = assigned_name(equation.source) or f"gate {i + 1}"
            count = sum(other == name or other.startswith(f"{name} (") for other in names)
            names.append(f"{name} ({count + 1})" if count else name)
        return names

    def count(
        self, params: Params, carry: Carry, ids: Ids, counted: Array
    ) -> tuple[Carry, list[Array]]:
        """Read ``int32[T,1]``; return how often each gate's units are closed and open.

        Arguments:
            counted: ``bool[T]``, False where what is read does not count.
        """
        reading = self._network.reading
        found = reading.find(carry, ids, None)
        lookup = None if found.rows is None else Lookup(found.rows)
        xs = self._network.embed(params, self._network.what_is_read(params, ids, lookup))
        begins = jnp.zeros(ids.shape, bool) if found.begins is None else found.begins
        fresh = self._fresh(params["cell"])

        def step(carry: Carry, item: tuple[Array, Reset]) -> tuple[Carry, list[Array]]:
            x, starts = item
            return self._run(params["cell"], restart(starts, carry, fresh), x)

        cell_carry, gates = jax.lax.scan(step, found.cell_carry, (xs, begins))
        shares = []
        for gate in gates:
            gate = gate.reshape(len(gate), -1)
            masked = [(gate < CLOSED) & counted[:, None], (gate > OPEN) & counted[:, None]]
            shares.append(jnp.stack([mask.sum(axis=0) for mask in masked]))
        return reading.join(cell_carry, found.tails), shares

    def _run(self, params: Params, carry: Carry, x: Array) -> tuple[Carry, list[Array]]:
        """Take a step, and return the gates with the carry."""
        traced, env = self._traced, dict(self._traced.constants)
        for values, tree in ((traced.params, params), (traced.carry, carry), (traced.inputs, x)):
            env.update(zip(values, jax.tree.leaves(tree), strict=True))
        env = run(traced.equations, env)
        after = [jnp.asarray(read(env, atom)) for atom in traced.carry_out]
        structure = jax.tree.structure(carry)
        return jax.tree.unflatten(structure, after), [env[value] for value in self.found]

    def _fresh(self, params: Params) -> Carry:
        return begin(self._network.cell, params, (1, self._network.in_features))

    def _step(self, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        return take_step(self._network.cell, params, carry, x)


def _is_logistic(equation: JaxprEqn) -> bool:
    name = equation.primitive.name
    return name in _LOGISTIC or equation.params.get("name") in _LOGISTIC


def _inside(equation: JaxprEqn) -> ClosedJaxpr | None:
    """Return what a nested jit calls; a logistic function stays one equation, with its own line."""
    return None if _is_logistic(equation) else called_by_jit(equation)
