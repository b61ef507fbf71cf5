"""The parameters that a window uses: all of them, but of the context's table the rows it reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from charrnn_core.arrays import Array, Carry, Ids, Params
from charrnn_core.network.context import TABLE
from charrnn_core.network.network import Network
from charrnn_core.network.reading import Lookup
from charrnn_core.network.touched import Touched


class Portion(Protocol):
    """What a window uses of the parameters, or of a tree like them."""

    def take(self, params: Params) -> Params:
        """Take the portion."""
        ...

    def put(self, params: Params, changed: Params) -> Params:
        """Return the parameters with the portion changed."""
        ...

    def take_rows(self, table: Array, axis: int) -> Array:
        """Take the portion of an array that has the rows of the table along an axis."""
        ...

    def put_rows(self, table: Array, changed: Array, axis: int) -> Array:
        """Return that array with the portion changed."""
        ...

    def lookup(self, readings: Array | None = None) -> Lookup | None:
        """Return how the network finds the rows of its context in the portion.

        Arguments:
            readings: float32[rows], how often the training text reads each row; None if rare ones
                are not dropped more often.
        """
        ...


class Everything:
    """All parameters: there is no context."""

    def take(self, params: Params) -> Params:
        return params

    def put(self, params: Params, changed: Params) -> Params:
        del params
        return changed

    def take_rows(self, table: Array, axis: int) -> Array:
        del axis
        return table

    def put_rows(self, table: Array, changed: Array, axis: int) -> Array:
        del table, axis
        return changed

    def lookup(self, readings: Array | None = None) -> Lookup | None:
        del readings
        return None


@dataclass(frozen=True)
class RowsRead:
    """All parameters, but of the context's table a row for each reading of the window.

    A row read several times has its gradient, the sum over its readings, at the first; the others
    have none, and what becomes of them is dropped.

    Arguments:
        rows: ``int32[T,B,n-1]``, the rows that are read.
        touched: the same, with a place for each.
    """

    rows: Array
    touched: Touched

    def take(self, params: Params) -> Params:
        return {**params, TABLE: self.touched.take(params[TABLE])}

    def put(self, params: Params, changed: Params) -> Params:
        return {**changed, TABLE: self.touched.put(params[TABLE], changed[TABLE])}

    def take_rows(self, table: Array, axis: int) -> Array:
        return self.touched.take(table, axis)

    def put_rows(self, table: Array, changed: Array, axis: int) -> Array:
        return self.touched.put(table, changed, axis)

    def lookup(self, readings: Array | None = None) -> Lookup | None:
        places = self.touched.places.reshape(self.rows.shape)
        return Lookup(places, None if readings is None else readings[self.rows])


def portion_read(
    network: Network,
    carry: Carry,
    inputs: Ids,
    placed: Callable[[Array], Array] = lambda rows: rows,
) -> Portion:
    """Return what a window uses, ``int32[T,B]`` after the network's carry.

    Arguments:
        placed: puts the rows where they are needed, which is everywhere if devices share the
            streams.
    """
    rows = network.rows_read(carry, inputs)
    if rows is None:
        return Everything()
    rows = placed(rows)
    return RowsRead(rows, Touched.of(rows, network.context.rows))
