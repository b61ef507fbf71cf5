"""The context of a character: rows of a table for the last few characters, found by a hash."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from charrnn_core.arrays import Array, Carry, Ids, Params, Reset
from charrnn_core.errors import OptionError
from charrnn_core.network.documents import texts_begun

TABLE = "context"
"""The parameter that has the rows: of it a character reads some, of every other parameter all."""

_NOT_OF_THIS_TEXT = -1
_CHARACTERS_PER_ROW = 32
_FEWEST_BITS, _MOST_BITS = 10, 16

_SCALE = 40.0
"""Rows of width E are multiplied by this over the root of E, as if their learning rate were.

Moments that are updated only when a row is read take a few readings to gather strength, where those
of a dense table act on for some ten updates after each. What a cell makes of a row has the size of
the root of E if every element has taken the same step.
"""

MARK_BITS = 8
"""A row is marked with so many bits of the hash of the characters that it belongs to."""

HASH_STEP, HASH_SPREAD = 0x01000193, 0x9E3779B9
"""Odd constants of the hash: the one is FNV's prime, the other 2**32 over the golden ratio."""


def fitting_bits(characters: int) -> int:
    """Return the logarithm of the number of rows of each order that suits a text of that length.

    >>> fitting_bits(180_000), fitting_bits(1_100_000), fitting_bits(10**9)
    (12, 15, 16)
    """
    bits = round(math.log2(max(1, characters / _CHARACTERS_PER_ROW)))
    return min(max(bits, _FEWEST_BITS), _MOST_BITS)


def without_rows(params: Params) -> Params:
    """Return the parameters that every character reads."""
    return {name: part for name, part in params.items() if name != TABLE}


@dataclass(frozen=True)
class Context:
    """Finds the rows that stand for the last 2, 3, .. n characters.

    The rows of order k are those from ``(k - 2) rows`` to ``(k - 1) rows - 1`` of one table, where
    `rows` is ``2**bits``. Its row for the ids ``c_{t-k+1} .. c_t``, all modulo 2^32, is

        h_1 = c_t + 1;  h_j = 16777619 h_{j-1} + c_{t-j+1} + 1
        p = 2654435769 h_k;  row = p >> (32 - bits);  mark = max(1, p >> (24 - bits) & 255)

    A row with owners belongs to the characters with its mark. All others that hash to it read the
    last row of their order instead, which belongs to nobody: what is rare is read as rare, and
    what a text for training never has does not read what was learnt of something else.

    The last n - 1 ids are remembered from one window to the next as the *tail* of each stream. A
    context does not reach over the beginning of a text or document: an id before it counts as -1.

    Arguments:
        order: n, the most characters that a row stands for; 0 or 1 for no context.
        bits: the logarithm of the number of rows of each order, at most 24.
        owners: the mark of each row, 0 for nobody; empty if rows belong to all that hash to them.

    Raises:
        OptionError: there are owners, but not one for each row.

    Sources: Mikolov et al. 2011, Strategies for training large scale neural network language
    models, has hashed n-grams at the output; Bojanowski et al. 2017, arXiv 1607.04606, adds up
    hashed n-grams' embeddings; Pagnoni et al. 2024, arXiv 2412.09871, those of bytes.

    >>> context = Context(order=3, bits=5)
    >>> carry = context.begin((), batch=1)
    >>> _, tail = context.split(carry)
    >>> rows, tail = context.find(tail, jnp.array([[5], [7], [5], [7]]), begins=None)
    >>> rows.shape, bool(rows[1, 0, 0] == rows[3, 0, 0]), bool(rows[1, 0, 1] == rows[3, 0, 1])
    ((4, 1, 2), True, False)
    >>> tail.tolist()
    [[5, 7]]
    """

    order: int = 0
    bits: int = _FEWEST_BITS
    owners: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.owners and self.tables and len(self.owners) != self.rows:
            raise OptionError(
                f"a context of {self.order} characters with {self.bits} bits has {self.rows} rows, "
                f"but the trained one has {len(self.owners)}; leave context and context_bits as "
                "they are in the run that the parameters come from"
            )

    @property
    def tables(self) -> int:
        """Return how many rows are added up for each character."""
        return max(0, self.order - 1)

    @property
    def rows(self) -> int:
        """Return the number of rows of the whole table."""
        return self.tables << self.bits

    def begin(self, carry: Carry, batch: int) -> Carry:
        """Return a carry with the tail before the first character of `batch` streams."""
        if not self.tables:
            return carry
        return carry, jnp.full((batch, self.tables), _NOT_OF_THIS_TEXT, jnp.int32)

    def split(self, carry: Carry) -> tuple[Carry, Array | None]:
        """Return the carry without the tail, and the tail, ``int32[B,n-1]``; None without any."""
        return carry if self.tables else (carry, None)

    def add_up(self, looked_up: Array) -> Array:
        """Return what the context adds to x, given its rows ``float[..., n-1, E]``."""
        total: Any = looked_up.sum(axis=-2)
        return _SCALE / math.sqrt(looked_up.shape[-1]) * total

    def join(self, carry: Carry, tail: Array | None) -> Carry:
        """Return the carry with its tail, the inverse of `split`."""
        return (carry, tail) if self.tables else carry

    def find(self, tail: Array, inputs: Ids, begins: Reset | None) -> tuple[Array, Array]:
        """Find the rows of every character.

        Arguments:
            tail: what was remembered of the windows before.
            inputs: ``int32[T,B]``.
            begins: ``bool[T,B]``, True where a text or document begins; None if none does.

        Returns:
            ``int32[T,B,n-1]``, the rows of orders 2 to n; and what to remember.
        """
        hashes, tail = self.hashes(tail, inputs, begins)
        rows = (hashes >> jnp.uint32(32 - self.bits)).astype(jnp.int32)
        first = jnp.broadcast_to(jnp.arange(self.tables) << self.bits, rows.shape)
        if self.owners:
            owners = jnp.asarray(np.frombuffer(self.owners, np.uint8))[first + rows]
            marks = self.marked(hashes).astype(jnp.uint8)
            rows = jnp.where(owners == marks, rows, jnp.int32((1 << self.bits) - 1))
        # Or XLA hashes again for every element of a row.
        return lax.optimization_barrier(first + rows), tail

    def hashes(self, tail: Array, inputs: Ids, begins: Reset | None) -> tuple[Array, Array]:
        """Return p of every character and order, ``uint32[T,B,n-1]``; and what to remember.

        Arguments:
            tail, inputs, begins: as for `find`.
        """
        steps, n = inputs.shape[0], self.tables
        read = jnp.concatenate([tail.T, inputs])
        text = jnp.concatenate([jnp.zeros(tail.T.shape, jnp.int32), texts_begun(inputs, begins)])
        here = text[n:]
        hashed = (inputs + 1).astype(jnp.uint32)
        spread = []
        for back in range(1, self.order):
            there = slice(n - back, n - back + steps)
            ids = jnp.where(text[there] == here, read[there], _NOT_OF_THIS_TEXT)
            hashed = hashed * jnp.uint32(HASH_STEP) + (ids + 1).astype(jnp.uint32)
            spread.append(hashed * jnp.uint32(HASH_SPREAD))
        after = jnp.where(text == text[-1:], read, _NOT_OF_THIS_TEXT)[-n:]
        return jnp.stack(spread, axis=-1), after.T

    def marked(self, hashes: Array) -> Array:
        """Return the row within its order, and behind it the mark: ``uint32[...]``."""
        found = hashes >> jnp.uint32(32 - MARK_BITS - self.bits)
        return jnp.where(found & 255 == 0, found + 1, found)
