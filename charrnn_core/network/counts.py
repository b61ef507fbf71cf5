"""What a text for training says comes after its last characters, as a part of a network."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Ids, Logits, Params, Reset
from charrnn_core.network.context import HASH_SPREAD, HASH_STEP, Context
from charrnn_core.network.words import Words

COUNTS = "counts"
"""Where parameters have the table; without one, a network predicts alone, as while it learns."""

MOST_BYTES = 2**25
"""The most memory that the rows of a table take."""

STEPS_PER_NAT = 16
"""Log-probabilities are stored as bytes, in steps of so many to a nat."""

ROW_BITS, MARK_BITS = 20, 12
"""An entry of the index has so many bits for the number of a row, plus 1, and above for a mark."""

PLACES = 4
"""So many entries stand side by side in the index."""

WEIGHTS = (0.5, 0.5)
"""The weights of the network and of the counts; benchmarks/README.md has those tried."""


def place_and_mark(hashes: Array, bits: int) -> tuple[Array, Array]:
    """Return where in an index of 2^bits places strings are, and their marks: ``uint32[...]``."""
    return hashes >> (32 - bits), hashes >> (32 - MARK_BITS - bits) & 2**MARK_BITS - 1


def with_counts(params: Params, table: "Table | None") -> Params:
    """Return the parameters of a network that predicts with a table."""
    return params if table is None else {**params, COUNTS: table}


def without_counts(params: Params) -> Params:
    """Return the parameters that are learnt."""
    return {name: part for name, part in params.items() if name != COUNTS}


class Table(NamedTuple):
    """What follows the strings of a text; made by `charrnn_core.training.counting`.

    Fields:
        index: uint32[2^bits,4], for each place the entries of up to four strings: the row plus 1
            in the lower 20 bits, and above it the string's mark; 0 for none.
        rows: uint8[R,V], ``-16 log p(x)`` of every symbol x after a string. Row c is that of the
            string that consists of the symbol c.
        weights: float32[2], see `WEIGHTS`.
    """

    index: Any
    rows: Any
    weights: Any


class Memory(NamedTuple):
    """What counts remember of what was read before.

    Fields:
        tail: ``int32[B,n-1]``, the last ids; None if n is 1.
        words: ``uint32[B,3]``, see `charrnn_core.network.words`.
    """

    tail: Array | None
    words: Array


@dataclass(frozen=True)
class Counts:
    """Mixes a network's prediction with what a text has after the longest string that ends here.

        log q(x) = w_1 o(x) + w_2 log p(x | s) + const

    where o are the network's logits, and s is the longest string with a row in a table among: the
    last 1, 2, .. n characters; these n and the word that is being read; these, it and the last
    word; these, it and the last two words.

    A string is found by its hash p, which is that of `charrnn_core.network.context` for characters.
    With a hash h of `charrnn_core.network.words` it is ``2654435769 (16777619 h + p_n)``, modulo
    2^32, where p_n is that of the last n characters. Its place in the index is
    ``p >> (32 - bits)``, and its mark the 12 bits of p below. No string reaches over the beginning
    of a text or document.

    The table is not learnt by gradients, and is not used while the network learns: a network that
    gets it then leaves to the table what it would have to learn, and both overfit together.

    Arguments:
        order: n; 0 for no counts.
        letters: for each id 1 if words consist of such, otherwise 0.

    Sources: Mikolov et al. 2011, Empirical evaluation and combination of advanced language modeling
    techniques, mixes networks with Kneser-Ney counts, linearly; the geometric mixing is of Mattern,
    Mixing Strategies in Data Compression, 2012; strings that reach back by words are of Mahoney,
    Adaptive Weighing of Context Models for Lossless Data Compression, 2005.
    """

    order: int = 0
    letters: bytes = field(default=b"", repr=False)

    @classmethod
    def fitting(cls, order: int, letters: bytes) -> "Counts":
        """Return counts of an order, or none where rows for single symbols would take too much.

        >>> Counts.fitting(4, letters=bytes(65)), Counts.fitting(4, letters=bytes(20_000))
        (Counts(order=4), Counts(order=0))
        """
        return cls(order, letters) if len(letters) ** 2 <= MOST_BYTES else cls()

    def begin(self, carry: Carry, batch: int) -> Carry:
        """Return a carry with what is remembered before the first character of the streams."""
        if not self.order:
            return carry
        _, tail = self._characters.split(self._characters.begin((), batch))
        return carry, Memory(tail, Words().begin(batch))

    def split(self, carry: Carry) -> tuple[Carry, Memory | None]:
        """Return the carry without what is remembered, and that; None if nothing is."""
        return carry if self.order else (carry, None)

    def join(self, carry: Carry, memory: Memory | None) -> Carry:
        """Return the carry with what is remembered, the inverse of `split`."""
        return (carry, memory) if self.order else carry

    def hashes(
        self, memory: Memory | None, inputs: Ids, begins: Reset | None
    ) -> tuple[Array | None, Memory | None]:
        """Return the hashes of the strings that end at each id, and what to remember.

        Arguments:
            memory: what was remembered of the windows before; None if nothing is.
            inputs: ``int32[T,B]``.
            begins: ``bool[T,B]``, True where a text or document begins; None if none does.

        Returns:
            ``uint32[T,B,n+2]``, from the shortest string but one to the longest; None without any.
        """
        if memory is None:
            return None, None
        longest, tail = (inputs + 1).astype(jnp.uint32)[..., None], None
        of_characters = longest[..., :0]
        if memory.tail is not None:
            of_characters, tail = self._characters.hashes(memory.tail, inputs, begins)
            longest = of_characters[..., -1:]
        of_words, words = Words(self.letters).find(memory.words, inputs, begins)
        of_words = jnp.uint32(HASH_SPREAD) * (jnp.uint32(HASH_STEP) * of_words + longest)
        return jnp.concatenate([of_characters, of_words], axis=-1), Memory(tail, words)

    @property
    def _characters(self) -> Context:
        """Return what remembers the last characters, and hashes them."""
        return Context(self.order)

    def mixed(self, logits: Logits, table: Table | None, ids: Ids, hashes: Array | None) -> Logits:
        """Return ``w_1 o + w_2 log p``, given what was read; o without a table.

        Arguments:
            logits: ``float32[...,V]``, o.
            table: where the counts are.
            ids: ``int32[...]``, the last id read.
            hashes: ``uint32[...,n+2]``, those of `hashes`.

        >>> counts, ids = Counts(1, letters=bytes([1, 1])), jnp.array([[1]])
        >>> hashes, memory = counts.hashes(counts.begin((), 1)[1], ids, None)
        >>> table = Table(jnp.zeros((4, 4), jnp.uint32), jnp.array([[16, 0], [32, 0]], jnp.uint8),
        ...               jnp.array([0.5, 2.0]))
        >>> counts.mixed(jnp.zeros((1, 1, 2)), table, ids, hashes).tolist()
        [[[-4.0, 0.0]]]
        """
        if table is None or hashes is None:
            return logits
        index, rows, weights = map(jnp.asarray, table)
        place, mark = place_and_mark(hashes, len(index).bit_length() - 1)
        entries = index[place]
        has_mark = entries >> ROW_BITS == mark[..., None]
        found = jnp.where(has_mark, entries & 2**ROW_BITS - 1, 0).astype(jnp.int32).max(axis=-1)
        row = ids
        for k in range(found.shape[-1]):
            row = jnp.where(found[..., k] > 0, found[..., k] - 1, row)
        log_p = rows[row].astype(logits.dtype) / -STEPS_PER_NAT
        return weights[0] * logits + weights[1] * log_p
