"""Which of the characters before it a prediction depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry, Ids, Params, Reset, Tree
from charrnn_core.engine.unroll import restart
from charrnn_core.network.calling import begin, take_step
from charrnn_core.network.counts import without_counts
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program
from charrnn_core.network.reading import Lookup, Tails
from charrnn_core.text.split import Piece

BACK = 64
"""How many characters back."""

_AT_ONCE = 64
_MOST_NUMBERS = 1 << 24
"""How many predictions share a backward pass, and how many numbers it may make."""


def dependence(
    network: Network, params: Params, pieces: Sequence[Piece], back: int = BACK
) -> npt.NDArray[np.float32]:
    """Return how much each prediction depends on each of the characters read before it.

        d(t, k) = | d log p(c_t | c_0 .. c_{t-1}) / d x_{t-k} |,  k = 1 .. back

    where x is what the cell reads of a character: its embedding or one-hot vector, with its
    context. It is the network's own p, without counts. d is 0 beyond the beginning of a text or
    document, where the carry starts afresh.

    Arguments:
        network, params: those of a model.
        pieces: at least one character in all; each begins with a fresh carry.
        back: how many characters back to look.

    Returns:
        ``float32[T,back]``, the last character first, for all pieces in order.

    Source: Madsen 2019, Visualizing memorization in RNNs, Distill, doi 10.23915/distill.00016,
    where it is called connectivity; there it is of a logit, here of the log-probability.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> found = dependence(network, network.init(jax.random.key(0)), [Piece(0, np.arange(5))], 3)
    >>> found.shape, (found[0] > 0).tolist(), (found[1] > 0).tolist()
    ((5, 3), [True, False, False], [True, True, False])
    """
    params = without_counts(params)
    width = (back + _AT_ONCE) * network.in_features
    window = _Window(network, back, max(1, min(_AT_ONCE, _MOST_NUMBERS // width)))
    program = Program(window.look_back)
    found = [_of_piece(program, window, params, piece) for piece in pieces if len(piece.ids)]
    return np.concatenate(found)


def _of_piece(
    program: Program, window: "_Window", params: Params, piece: Piece
) -> npt.NDArray[np.float32]:
    read = np.concatenate([[piece.before], piece.ids]).astype(np.int32)
    count, before = len(piece.ids), window.back - 1
    blocks = -(-count // window.predictions)
    padded = np.zeros(before + blocks * window.predictions + 1, np.int32)
    padded[before : before + len(read)] = read
    first = np.arange(len(padded)) == before  # of what comes earlier nothing is known
    carry: Carry = window.network.initial_carry(params, 1)
    found = []
    for block in range(blocks):
        here = slice(block * window.predictions, None)
        some = slice(0, before + window.predictions)
        ids, targets = padded[here][some], padded[here][1:][before : before + window.predictions]
        carry, norms = program(params, carry, ids[:, None], first[here][some][:, None], targets)
        found.append(np.asarray(norms))
    return np.concatenate(found)[:count]


@dataclass(frozen=True)
class _Window:
    """Looks back from several predictions that follow each other.

    Arguments:
        back: how many characters to look back.
        predictions: how many predictions there are in a window of ``back - 1 + predictions``.
    """

    network: Network
    back: int
    predictions: int

    def look_back(
        self, params: Params, carry: Carry, ids: Ids, first: Reset, targets: Array
    ) -> tuple[Carry, Array]:
        """Return the carry with which the next window begins, and ``float32[predictions,back]``.

        Arguments:
            carry: that of the network before the window.
            ids: ``int32[T,1]``, what is read.
            first: ``bool[T,1]``, True where the text begins.
            targets: ``int32[predictions]``, the characters predicted.
        """
        new = self.predictions
        early, xs, begins, tails = self._find(params, carry, ids[:new], first[:new])
        after, _ = self._run(params, early, xs, begins)
        carry = self.network.reading.join(after, tails)
        _, later, more, _ = self._find(params, carry, ids[new:], first[new:])
        xs, begins = (jnp.concatenate(pair) for pair in ((xs, later), (begins, more)))

        def log_p(xs: Array) -> Array:
            _, ys = self._run(params, early, xs, begins)
            all_p = jax.nn.log_softmax(self.network.read_out(params, ys[self.back - 1 :])[:, 0])
            return jnp.take_along_axis(all_p, targets[:, None], axis=1)[:, 0]

        _, pull = jax.vjp(log_p, xs)
        [gradients] = jax.vmap(pull)(jnp.eye(new, dtype=jnp.float32))
        norms = jnp.sqrt((gradients.astype(jnp.float32) ** 2).sum(axis=(2, 3)))
        at = np.arange(new)[:, None] + self.back - 1 - np.arange(self.back)
        return carry, jnp.take_along_axis(norms, jnp.asarray(at), axis=1)

    def _find(
        self, params: Params, carry: Carry, ids: Ids, first: Reset
    ) -> tuple[Carry, Array, Reset, Tails]:
        """Return the cell's carry, what it reads, where it starts afresh, what to remember."""
        found = self.network.reading.find(carry, ids, first)
        lookup = None if found.rows is None else Lookup(found.rows)
        xs = self.network.embed(params, self.network.what_is_read(params, ids, lookup))
        begins = first if found.begins is None else found.begins
        return found.cell_carry, xs, begins, found.tails

    def _run(self, params: Params, carry: Carry, xs: Array, begins: Reset) -> tuple[Carry, Array]:
        """Read a window by the cell's step."""
        cell, of_cell = self.network.cell, params["cell"]
        fresh = begin(cell, of_cell, (1, self.network.in_features))

        def step(carry: Carry, item: tuple[Array, Array]) -> tuple[Carry, Tree]:
            x, starts = item
            return take_step(cell, of_cell, restart(starts, carry, fresh), x)

        result: Any = jax.lax.scan(step, carry, (xs, begins))
        return result
