"""The rows of a table that a window reads: taken out, so that nothing else need be touched."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax

from charrnn_core.arrays import Array


@dataclass(frozen=True)
class Touched:
    """A part of a table with a place for every reading, used at the first reading of each row.

    Arguments:
        rows: ``int32[N]``, the row that each reading reads.
        places: ``int32[N]``, the number of the first reading of the same row.
        count: the number of rows of the table.

    >>> touched = Touched.of(jnp.array([[4, 2], [4, 0]]), count=5)
    >>> touched.places.tolist()
    [0, 1, 0, 3]
    >>> table = 10.0 * jnp.arange(5.0)
    >>> part = touched.take(table)
    >>> part.tolist()
    [40.0, 20.0, 40.0, 0.0]
    >>> touched.put(table, part + 1).tolist()
    [1.0, 10.0, 21.0, 30.0, 41.0]
    """

    rows: Array
    places: Array
    count: int

    @classmethod
    def of(cls, rows: Array, count: int) -> "Touched":
        """Find the first reading of every row, given ``rows: int32[...]``."""
        rows = rows.reshape(-1)
        numbers = jnp.arange(rows.size, dtype=jnp.int32)
        first = jnp.full(count, rows.size, jnp.int32).at[rows].min(numbers)
        # Or XLA looks each of them up again for every element of a row.
        places = lax.optimization_barrier(first[rows])
        return cls(rows, places, count)

    def take(self, table: Array, axis: int = 0) -> Array:
        """Return the part of a table, or of anything with as many rows along that axis."""
        return jnp.take(table, self.rows, axis=axis, mode="clip")  # all are there

    def put(self, table: Array, part: Array, axis: int = 0) -> Array:
        """Return the table with the rows of the part; a row's first place counts, no other."""
        is_first = self.places == jnp.arange(self.rows.size)
        rows = jnp.where(is_first, self.rows, self.count)  # no row: what is put there is dropped
        at = (slice(None),) * axis
        return table.at[(*at, rows)].set(part, mode="drop")
