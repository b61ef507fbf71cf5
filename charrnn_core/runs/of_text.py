"""What a network is told of the text that it learns from, as a checkpoint keeps it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CheckpointError
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.network.counts import COUNTS, PLACES, ROW_BITS, Table
from charrnn_core.network.pytree import to_arrays

_OWNERS = "owners"
_SIZES = [(1 << bits, PLACES) for bits in range(21)]
"""Those of an index."""


@dataclass(frozen=True)
class OfText:
    """What is neither learnt nor set, but found in a text.

    Arguments:
        owners: to whom the rows of the context belong; empty if to nobody.
        counts: what follows the strings of the text; None without counts.
    """

    owners: bytes = b""
    counts: Table | None = None

    @classmethod
    def saved(cls, checkpoint: Checkpoint, symbols: int) -> "OfText":
        """Return what a checkpoint has of its text, which may be nothing.

        Raises:
            CheckpointError: it has no table that a network of so many symbols could read.
        """
        owners = checkpoint.arrays.get(_OWNERS)
        found = [checkpoint.arrays.get(f"{COUNTS}/{name}") for name in Table._fields]
        table = None
        if any(array is not None for array in found):
            table = _checked(found, symbols)
        return cls(b"" if owners is None else owners.tobytes(), table)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that a checkpoint keeps of it."""
        arrays = {} if self.counts is None else to_arrays({COUNTS: self.counts})
        if self.owners:
            arrays[_OWNERS] = np.frombuffer(self.owners, np.uint8)
        return arrays


def _checked(found: list[npt.NDArray[Any] | None], symbols: int) -> Table:
    arrays: Any = [np.zeros(0) if array is None else array for array in found]
    index, rows, weights = arrays
    fits = [
        index.dtype == np.uint32 and index.shape in _SIZES,
        rows.dtype == np.uint8 and rows.ndim == 2 and rows.shape[1] == symbols <= len(rows),
        weights.dtype == np.float32 and weights.shape == (2,),
    ]
    if all(fits):
        fits += [(index & 2**ROW_BITS - 1).max() <= len(rows), np.isfinite(weights).all()]
    if not all(fits):
        shapes = ", ".join(f"{a.dtype}{list(a.shape)}" for a in arrays)
        raise CheckpointError(
            f"the checkpoint has no usable table of counts: {shapes}; expected uint32[2^bits,4], "
            f"entries of at most R, uint8[R,{symbols}] and finite float32[2]"
        )
    return Table(*arrays)
