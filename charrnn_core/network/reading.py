"""What a network finds in ids alone: where documents begin, and the last few characters of each."""

from dataclasses import dataclass
from typing import NamedTuple

from charrnn_core.arrays import Array, Carry, Ids, Reset
from charrnn_core.network.context import Context
from charrnn_core.network.counts import Counts, Memory
from charrnn_core.network.documents import Documents


class Found(NamedTuple):
    """What is found in a window.

    Fields:
        cell_carry: the cell's carry before the window.
        begins: ``bool[T,B]``, where the carry starts afresh; None if it nowhere does.
        rows: ``int32[T,B,n-1]``, the rows of the context; None without one.
        hashes: ``uint32[T,B,n+2]``, those of the strings that the counts may have; None without.
        tails: what to remember of the window.
    """

    cell_carry: Carry
    begins: Reset | None
    rows: Array | None
    hashes: Array | None
    tails: "Tails"


Tails = tuple[Array | None, Array | None, Memory | None]
"""What documents, the context and the counts remember of a window."""


class Lookup(NamedTuple):
    """How the rows of the context are looked up.

    Fields:
        places: ``int32[T,B,n-1]``, where each is in a table.
        readings: ``float32[T,B,n-1]``, how often the training text reads each; None if rare ones
            are not dropped more often.
    """

    places: Array
    readings: Array | None = None


@dataclass(frozen=True)
class Reading:
    """Reads ids, and remembers of them what the next window needs, in the network's carry.

    Arguments:
        documents: how documents are found.
        context: how the rows of the last characters are found.
        counts: how what follows them in a text is found.
    """

    documents: Documents
    context: Context
    counts: Counts = Counts()

    def begin(self, cell_carry: Carry, batch: int) -> Carry:
        """Return the network's carry before the first character of `batch` streams."""
        carry = self.context.begin(self.documents.begin(cell_carry, batch), batch)
        return self.counts.begin(carry, batch)

    def cell_carry(self, carry: Carry) -> Carry:
        """Return the part of the network's carry that is the cell's."""
        return self._split(carry)[0]

    def find(self, carry: Carry, inputs: Ids, reset: Reset | None) -> Found:
        """Read a window, ``int32[T,B]``, after the network's carry."""
        carry, (tail, of_context, of_counts) = self._split(carry)
        begins, tail = self.documents.find(tail, inputs, reset)
        rows = None
        if of_context is not None:
            rows, of_context = self.context.find(of_context, inputs, begins)
        hashes, of_counts = self.counts.hashes(of_counts, inputs, begins)
        return Found(carry, begins, rows, hashes, (tail, of_context, of_counts))

    def marked(self, carry: Carry, inputs: Ids) -> tuple[Carry, Array]:
        """Return the carry after a window, and `Context.marked` of all it reads."""
        found = self.find(carry, inputs, None)
        _, (_, of_context, _) = self._split(carry)
        assert of_context is not None
        hashes, _ = self.context.hashes(of_context, inputs, found.begins)
        return self.join(found.cell_carry, found.tails), self.context.marked(hashes)

    def join(self, cell_carry: Carry, tails: Tails) -> Carry:
        """Return the network's carry after a window."""
        tail, of_context, of_counts = tails
        carry = self.context.join(self.documents.join(cell_carry, tail), of_context)
        return self.counts.join(carry, of_counts)

    def _split(self, carry: Carry) -> tuple[Carry, Tails]:
        """Return the cell's carry and the tails, the inverse of `join`."""
        carry, of_counts = self.counts.split(carry)
        carry, of_context = self.context.split(carry)
        carry, tail = self.documents.split(carry)
        return carry, (tail, of_context, of_counts)
