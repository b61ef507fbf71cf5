"""The table of a network's counts: what follows the strings of the text that it is trained on."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry
from charrnn_core.arrays import Ids as Inputs
from charrnn_core.network.context import MARK_BITS, Context
from charrnn_core.network.counts import MOST_BYTES, ROW_BITS, STEPS_PER_NAT, WEIGHTS, Table
from charrnn_core.network.network import Network
from charrnn_core.runs.of_text import OfText
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.kneser_ney import Strings, followers
from charrnn_core.training.readings import read_in_stretches

_MOST_CHARACTERS = 2**23
_SLOTS_PER_ROW = 4
_FEWEST_BITS = 10


def count_text(network: Network, ids: Ids) -> Table | None:
    """Count what follows the strings of a text; None if the network has no counts.

    Rows take at most 32 MiB: where the text has more strings, those that are counted most often
    have one. Of a text of more than 2^23 characters, the first are counted.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> from charrnn_core.network.counts import Counts
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6, counts=Counts(order=2))
    >>> table = count_text(network, np.array([1, 2, 3, 1, 2, 3, 1], np.int32))
    >>> table.rows.shape, int(np.count_nonzero(table.index))
    ((8, 6), 2)
    """
    order, symbols = network.counts.order, network.symbols
    if not order:
        return None
    ids = ids[:_MOST_CHARACTERS]
    read, following = ids[:-1], np.asarray(ids[1:], np.int64)
    strings = [np.asarray(read, np.int64)]
    if order > 1:
        hashes = np.concatenate(list(read_in_stretches(_hashes, network, read)))
        strings += list(hashes.T.astype(np.int64))
    found = followers(strings, following, symbols, MOST_BYTES // symbols - symbols)
    rows = np.concatenate([level.rows for level in found])
    nats = -np.log(np.maximum(rows, np.finfo(rows.dtype).tiny))
    return Table(
        index=_index(found, symbols),
        rows=np.minimum(np.rint(STEPS_PER_NAT * nats), 255).astype(np.uint8),
        weights=np.array(WEIGHTS, np.float32),
    )


def with_its_counts(of_text: OfText, network: Network, ids: Ids) -> OfText:
    """Return what a network is told of a text, with its counts if they are missing."""
    return replace(of_text, counts=of_text.counts or count_text(network, ids))


def _hashes(network: Network, carry: Carry, inputs: Inputs) -> tuple[Carry, Array]:
    """Return the carry after a window, and the hashes of the strings that end in it."""
    found = network.reading.find(carry, inputs, None)
    assert found.hashes is not None
    return network.reading.join(found.cell_carry, found.tails), found.hashes


def _index(levels: list[Strings], symbols: int) -> npt.NDArray[np.uint32]:
    """Return where the rows of strings are, of all that are longer than a symbol."""
    numbers, counts = (
        np.concatenate([np.zeros(0, np.int64), *(getattr(level, name) for level in levels[1:])])
        for name in ("numbers", "counts")
    )
    bits = max(_FEWEST_BITS, (_SLOTS_PER_ROW * len(numbers)).bit_length())
    marked = np.asarray(Context(bits=bits).marked(jnp.asarray(numbers, jnp.uint32)))
    entries = np.arange(symbols, symbols + len(numbers)) | (marked & 2**MARK_BITS - 1) << ROW_BITS
    # Of several that are put into the same place the last one stays, which is the commonest.
    by_count = np.argsort(counts, kind="stable")
    index = np.zeros(1 << bits, np.uint32)
    index[marked[by_count] >> MARK_BITS] = entries[by_count]
    return index
