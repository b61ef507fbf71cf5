"""What a text for training says comes after its last characters, as a part of a network."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Ids, Logits, Params, Reset
from charrnn_core.network.context import MARK_BITS, Context

COUNTS = "counts"
"""Where parameters have the table; without one, a network predicts alone, as while it learns."""

MOST_BYTES = 2**25
"""The most memory that the rows of a table take."""

STEPS_PER_NAT = 16
"""Log-probabilities are stored as bytes, in steps of so many to a nat."""

ROW_BITS = 32 - MARK_BITS
"""The index has so many bits for the number of a row."""

WEIGHTS = (0.5, 0.5)
"""The weights of the network and of the counts; benchmarks/README.md has those tried."""


def with_counts(params: Params, table: "Table | None") -> Params:
    """Return the parameters of a network that predicts with a table."""
    return params if table is None else {**params, COUNTS: table}


def without_counts(params: Params) -> Params:
    """Return the parameters that are learnt."""
    return {name: part for name, part in params.items() if name != COUNTS}


class Table(NamedTuple):
    """What follows the strings of a text; made by `charrnn_core.training.counting`.

    Fields:
        index: uint32[2^bits], for the hash of a string its row and, in the top 8 bits, its mark.
        rows: uint8[R,V], ``-16 log p(x)`` of every symbol x after a string. Row c is that of the
            string that consists of the symbol c.
        weights: float32[2], see `WEIGHTS`.
    """

    index: Any
    rows: Any
    weights: Any


@dataclass(frozen=True)
class Counts:
    """Mixes a network's prediction with that of the longest string in a table that was just read.

        log q(x) = w_1 o(x) + w_2 log p(x | c_{t-k+1} .. c_t) + const

    where o are the network's logits, and k, at most n, is the length of the longest of the strings
    ``c_t``, ``c_{t-1} c_t``, .. that has a row. A string is found by the hash p of
    `charrnn_core.network.context.Context`: its place in the index is ``p >> (32 - bits)``, and its
    mark that of a context of so many bits. As there, no string reaches over the beginning of a text
    or document.

    The table is not learnt by gradients, and is not used while the network learns: a network that
    gets it then leaves to the table what it would have to learn, and both overfit together.

    Arguments:
        order: n, the most characters that a string has; 0 for no counts.

    Sources: Mikolov et al. 2011, Empirical evaluation and combination of advanced language modeling
    techniques, mixes networks with Kneser-Ney counts linearly; the geometric mixing is of Mattern,
    Mixing Strategies in Data Compression, 2012.
    """

    order: int = 0

    @classmethod
    def fitting(cls, order: int, symbols: int) -> "Counts":
        """Return counts of an order, or none where rows for single symbols would take too much.

        >>> Counts.fitting(6, symbols=65), Counts.fitting(6, symbols=20_000)
        (Counts(order=6), Counts(order=0))
        """
        return cls(order if symbols**2 <= MOST_BYTES else 0)

    @property
    def _tails(self) -> Context:
        """Return what remembers the ids before a window, and hashes strings."""
        return Context(self.order)

    def begin(self, carry: Carry, batch: int) -> Carry:
        """Return a carry with the tail before the first character of `batch` streams."""
        return self._tails.begin(carry, batch)

    def split(self, carry: Carry) -> tuple[Carry, Array | None]:
        """Return the carry without the tail, and the tail, ``int32[B,n-1]``; None without any."""
        return self._tails.split(carry)

    def join(self, carry: Carry, tail: Array | None) -> Carry:
        """Return the carry with its tail, the inverse of `split`."""
        return self._tails.join(carry, tail)

    def hashes(
        self, tail: Array | None, inputs: Ids, begins: Reset | None
    ) -> tuple[Array | None, Array | None]:
        """Return the hashes of the strings of 2 .. n ids that end at each id, and what to remember.

        Arguments:
            tail: what was remembered of the windows before; None without any.
            inputs: ``int32[T,B]``.
            begins: ``bool[T,B]``, True where a text or document begins; None if none does.

        Returns:
            ``uint32[T,B,n-1]``, or None if no string has two ids.
        """
        if tail is None:
            return None, None
        return self._tails.hashes(tail, inputs, begins)

    def mixed(self, logits: Logits, table: Table | None, ids: Ids, hashes: Array | None) -> Logits:
        """Return ``w_1 o + w_2 log p``, given what was read; o without a table.

        Arguments:
            logits: ``float32[...,V]``, o.
            table: where the counts are.
            ids: ``int32[...]``, the last id read.
            hashes: ``uint32[...,n-1]``, those of `hashes`.

        >>> table = Table(jnp.zeros(1024, jnp.uint32), jnp.array([[16, 0], [32, 0]], jnp.uint8),
        ...               jnp.array([0.5, 2.0]))
        >>> Counts(1).mixed(jnp.zeros((1, 2)), table, jnp.array([1]), None).tolist()
        [[-4.0, 0.0]]
        """
        if table is None:
            return logits
        row = ids
        if hashes is not None:
            strings = Context(self.order, len(table.index).bit_length() - 1)
            marked = strings.marked(hashes)
            entries = jnp.asarray(table.index)[marked >> MARK_BITS]
            found = entries >> ROW_BITS == marked & 2**MARK_BITS - 1
            for k in range(self.order - 1):
                here = (entries[..., k] & 2**ROW_BITS - 1).astype(jnp.int32)
                row = jnp.where(found[..., k], here, row)
        log_p = jnp.asarray(table.rows)[row].astype(logits.dtype) / -STEPS_PER_NAT
        network, counts = jnp.asarray(table.weights, logits.dtype)
        return network * logits + counts * log_p
