"""What a network finds in ids alone: where documents begin, and the rows of their context."""

from dataclasses import dataclass
from typing import NamedTuple

from charrnn_core.arrays import Array, Carry, Ids, Reset
from charrnn_core.network.context import Context
from charrnn_core.network.documents import Documents


class Found(NamedTuple):
    """What is found in a window.

    Fields:
        cell_carry: the cell's carry before the window.
        begins: ``bool[T,B]``, where the carry starts afresh; None if it nowhere does.
        rows: ``int32[T,B,n-1]``, the rows of the context; None without one.
        tails: what to remember of the window.
    """

    cell_carry: Carry
    begins: Reset | None
    rows: Array | None
    tails: tuple[Array | None, Array | None]


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
    """

    documents: Documents
    context: Context

    def begin(self, cell_carry: Carry, batch: int) -> Carry:
        """Return the network's carry before the first character of `batch` streams."""
        return self.context.begin(self.documents.begin(cell_carry, batch), batch)

    def cell_carry(self, carry: Carry) -> Carry:
        """Return the part of the network's carry that is the cell's."""
        return self.documents.split(self.context.split(carry)[0])[0]

    def find(self, carry: Carry, inputs: Ids, reset: Reset | None) -> Found:
        """Read a window, ``int32[T,B]``, after the network's carry."""
        carry, ids_before = self.context.split(carry)
        carry, tail = self.documents.split(carry)
        begins, tail = self.documents.find(tail, inputs, reset)
        rows = None
        if ids_before is not None:
            rows, ids_before = self.context.find(ids_before, inputs, begins)
        return Found(carry, begins, rows, (tail, ids_before))

    def marked(self, carry: Carry, inputs: Ids) -> tuple[Carry, Array]:
        """Return the carry after a window, and `Context.marked` of all it reads."""
        found = self.find(carry, inputs, None)
        _, ids_before = self.context.split(carry)
        assert ids_before is not None
        hashes, _ = self.context.hashes(ids_before, inputs, found.begins)
        return self.join(found.cell_carry, found.tails), self.context.marked(hashes)

    def join(self, cell_carry: Carry, tails: tuple[Array | None, Array | None]) -> Carry:
        """Return the network's carry after a window."""
        tail, ids_before = tails
        return self.context.join(self.documents.join(cell_carry, tail), ids_before)
