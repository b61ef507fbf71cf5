"""What a text reads of a context: to whom its rows belong, and how often each is read."""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry
from charrnn_core.arrays import Ids as Inputs
from charrnn_core.network.context import MARK_BITS
from charrnn_core.network.network import Network
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.mapped import give_back

_AT_ONCE = 2**16
_MOST_HASHES, _MOST_TO_COUNT = 2**24, 2**24
_FEWEST_TO_OWN = 4


def find_owners(network: Network, ids: Ids) -> bytes:
    """Return the owners of the rows of a network's context, for it to read this text.

    Of the characters that hash to a row, it belongs to those that the text has most often, if it
    has them at least four times. The last row of each order belongs to nobody. At most 2^24 hashes
    are looked at: of a long text, those of stretches evenly spread over it.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> from charrnn_core.network.context import Context
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6, context=Context(order=2, bits=6))
    >>> owners = find_owners(network, np.array([1, 2] * 4 + [3], np.int32))
    >>> len(owners), sum(mark > 0 for mark in owners)
    (64, 1)
    """
    context = network.context
    if not context.tables:
        return b""
    owners = np.zeros((context.tables, 1 << context.bits), np.uint8)
    stride = max(_AT_ONCE, -(-len(ids) * context.tables * _AT_ONCE // _MOST_HASHES))
    marked = np.concatenate(list(read_in_stretches(_marked, network, ids, stride)))
    for own, of_order in zip(owners, marked.T, strict=True):
        found, counts = np.unique(of_order, return_counts=True)
        by_count = np.argsort(counts, kind="stable")
        found = found[by_count[counts[by_count] >= _FEWEST_TO_OWN]]
        # Of several that are put into the same row the last one stays, which is the commonest.
        own[found >> MARK_BITS] = found & (2**MARK_BITS - 1)
    owners[:, -1] = 0
    return owners.tobytes()


def count_readings(network: Network, ids: Ids) -> npt.NDArray[np.float32]:
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
    for read in read_in_stretches(_rows, network, ids[:_MOST_TO_COUNT]):
        counts += np.bincount(read.ravel(), minlength=len(counts))
    return np.maximum(counts, 1).astype(np.float32)


def _marked(network: Network, carry: Carry, inputs: Inputs) -> tuple[Carry, Array]:
    return network.reading.marked(carry, inputs)


def _rows(network: Network, carry: Carry, inputs: Inputs) -> tuple[Carry, Array]:
    found = network.reading.find(carry, inputs, None)
    assert found.rows is not None
    return network.reading.join(found.cell_carry, found.tails), found.rows


def read_in_stretches(
    find: Callable[[Network, Carry, Inputs], tuple[Carry, Array]],
    network: Network,
    ids: Ids,
    stride: int = _AT_ONCE,
) -> Iterator[npt.NDArray[np.integer]]:
    """Yield what is found in a stretch of ids at every stride, ``[N,...]``.

    Arguments:
        find: given the network, its carry without the cell's, and ``int32[T,1]``, returns the
            carry after them and what is found, ``[T,1,...]``.
        stride: at least 2^16, the length of a stretch.
    """
    carry, compiled = network.reading.begin((), 1), jax.jit(partial(find, network))
    for start in range(0, len(ids), stride):
        some = np.asarray(ids[start : start + _AT_ONCE], np.int32)
        give_back(ids)
        padded = np.pad(some, (0, _AT_ONCE - len(some)))  # so that one program serves all
        carry, read = compiled(carry, padded[:, None])
        yield np.asarray(read)[: len(some), 0]
