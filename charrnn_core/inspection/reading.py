"""A text read by a network one character at a time, with all that can be seen on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry, Ids, Params
from charrnn_core.inspection.names import leaf_names
from charrnn_core.inspection.units import Unit, Units
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program
from charrnn_core.text.split import Piece

TOP = 5
"""How many of the likeliest next symbols are kept."""

_STEPS = 512
"""Characters per call: one program for texts of any length."""

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ReadText:
    """What a network does at each of T characters.

    Fields:
        ids: ``int32[T]``, the characters.
        places: ``int32[T]``, how many characters of its document come before each.
        nats: ``float32[T]``, the cost of each, predicted from all before it.
        top, top_p: ``int32[T,5], float32[T,5]``, the likeliest symbols *after* each, and their
            probabilities; fewer if the alphabet has fewer.
        values: ``float32[T,U]``, the units once the character has been read.
        units: their names.
        all_units: how many units the carry has; more than U if it is very wide.
    """

    ids: Numbers
    places: Numbers
    nats: Floats
    top: Numbers
    top_p: Floats
    values: Floats
    units: tuple[Unit, ...]
    all_units: int


def read_text(network: Network, params: Params, pieces: Sequence[Piece]) -> ReadText:
    """Read pieces of text, each from a fresh carry, in a single pass.

    Arguments:
        network, params: those of a model; with a table of counts the prediction is the mixture.
        pieces: at least one character in all.

    A prediction is the one that `charrnn_core.evaluation.scoring` scores, with one stream. The
    units are those of the cell: what documents, context and counts remember is not among them.

    Source: Karpathy, Johnson and Fei-Fei 2015, Visualizing and Understanding Recurrent Networks,
    arXiv 1506.02078.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> read = read_text(network, network.init(jax.random.key(0)), [Piece(0, np.arange(5))])
    >>> read.values.shape, read.top.shape, read.places.tolist()
    ((5, 4), (5, 5), [0, 1, 2, 3, 4])
    """
    fresh = network.initial_carry(params, 1)
    units = Units.of(network.reading.cell_carry(fresh), leaf_names(network, params))
    program = Program(_Reader(network, units).read)
    of_pieces = [_read_piece(program, params, fresh, piece) for piece in pieces if len(piece.ids)]
    parts = [np.concatenate(each) for each in zip(*of_pieces, strict=True)]
    nats, top, top_p, values = parts
    ids = np.concatenate([piece.ids for piece in pieces]).astype(np.int32)
    return ReadText(ids, _places(network, pieces), nats, top, top_p, values, units.names, units.all)


@dataclass(frozen=True)
class _Reader:
    """Reads a window of one stream, and returns everything of every step."""

    network: Network
    units: Units

    def read(self, params: Params, carry: Carry, ids: Ids, targets: Ids) -> tuple[Carry, Any]:
        """Read ``int32[S]``; targets are the ids after each."""
        step = self.network.stepper(params, carry, 1)
        count = min(TOP, self.network.symbols)

        def one(carry: Carry, item: tuple[Array, Array]) -> tuple[Carry, Any]:
            read, target = item
            logits, carry = step(carry, read[None])
            log_p = jax.nn.log_softmax(logits[0])
            best, top = jax.lax.top_k(log_p, count)
            values = self.units.row(self.network.reading.cell_carry(carry))[0]
            return carry, (-log_p[target], top, jnp.exp(best), values)

        return jax.lax.scan(one, carry, (ids, targets))


def _read_piece(
    program: Program, params: Params, carry: Carry, piece: Piece
) -> tuple[Floats, Numbers, Floats, Floats]:
    """Return the nats of the piece, and what is seen after each of its characters."""
    ids = np.concatenate([[piece.before], piece.ids]).astype(np.int32)
    padded = np.zeros(-(-len(ids) // _STEPS) * _STEPS + 1, np.int32)
    padded[: len(ids)] = ids
    blocks = []
    for at in range(0, len(padded) - 1, _STEPS):
        block = padded[at : at + _STEPS + 1]
        carry, seen = program(params, carry, block[:-1], block[1:])
        blocks.append([np.asarray(each) for each in seen])
    nats, top, top_p, values = (np.concatenate(each) for each in zip(*blocks, strict=True))
    after = slice(1, len(ids))
    return nats[: len(ids) - 1], top[after], top_p[after], values[after]


def _places(network: Network, pieces: Sequence[Piece]) -> Numbers:
    """Return how many characters of its document come before each character."""
    documents = network.reading.documents
    places = []
    for piece in pieces:
        read = np.concatenate([[piece.before], piece.ids]).astype(np.int32)[:-1]
        begins = np.zeros(len(read), bool)
        if documents.separator and len(read):
            _, tail = documents.split(documents.begin((), 1))
            found, _ = documents.find(tail, jnp.asarray(read)[:, None], None)
            begins = np.asarray(found)[:, 0].copy()
        begins[:1] = True
        at = np.arange(len(read))
        places.append(at - np.maximum.accumulate(np.where(begins, at, 0)))
    return np.concatenate(places).astype(np.int32)
