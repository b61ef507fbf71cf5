"""How often a text reads each row of a context."""

from functools import partial

import jax
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry, Ids
from charrnn_core.network.network import Network
from charrnn_core.text.alphabet import Ids as TextIds
from charrnn_core.text.mapped import give_back

_AT_ONCE = 2**16
_MOST = 2**24


def count_readings(network: Network, ids: TextIds) -> npt.NDArray[np.float32]:
    """Count how often each row of the context is read in a text: ``float32[rows]``.

    Of a text of more than 2^24 ids only the beginning is counted, and a row that is not read there
    counts as read once.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> from charrnn_core.network.context import Context
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6, context=Context(order=2, bits=6))
    >>> counted = count_readings(network, np.array([1, 2, 1, 2, 1], np.int32))
    >>> sorted(counted[counted > 1].tolist())
    [2.0, 2.0]
    """
    counts = np.zeros(network.context.rows, np.int64)
    carry, read = network.reading.begin((), 1), jax.jit(partial(_rows, network))
    for start in range(0, min(len(ids), _MOST), _AT_ONCE):
        some = np.asarray(ids[start : start + _AT_ONCE], np.int32)
        give_back(ids)
        padded = np.pad(some, (0, _AT_ONCE - len(some)))  # so that one program serves all
        carry, rows = read(carry, padded[:, None])
        counts += np.bincount(np.asarray(rows)[: len(some)].ravel(), minlength=len(counts))
    return np.maximum(counts, 1).astype(np.float32)


def _rows(network: Network, carry: Carry, inputs: Ids) -> tuple[Carry, Array]:
    found = network.reading.find(carry, inputs, None)
    assert found.rows is not None
    return network.reading.join((), found.tails), found.rows[:, 0]
