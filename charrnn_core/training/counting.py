"""The table of a network's counts: what follows the strings of the text that it is trained on."""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry
from charrnn_core.arrays import Ids as Inputs
from charrnn_core.network.counts import (
    MOST_BYTES,
    PLACES,
    ROW_BITS,
    STEPS_PER_NAT,
    WEIGHTS,
    Table,
    place_and_mark,
)
from charrnn_core.network.network import Network
from charrnn_core.runs.of_text import OfText
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.kneser_ney import Strings, followers
from charrnn_core.training.readings import read_in_stretches

_MOST_PLACES = 2**25
"""How many strings are looked at: their counts take 40 bytes each, and more for a short while."""

_FEWEST_BITS = 4


def count_text(network: Network, ids: Ids) -> Table | None:
    """Count what follows the strings of a text; None if the network has no counts.

    Rows take at most 32 MiB: where the text has more strings, those that are counted most often
    have one. Of a text of more than ``2^25 / (n + 3)`` characters, the first are counted.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> from charrnn_core.network.counts import Counts
    >>> counts = Counts(order=2, letters=bytes(6))
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6, counts=counts)
    >>> table = count_text(network, np.array([1, 2, 3, 1, 2, 3, 1], np.int32))
    >>> len(table.rows) - 6 == int(np.count_nonzero(table.index)) > 0
    True
    """
    symbols = network.symbols
    if not network.counts.order:
        return None
    ids = ids[: _MOST_PLACES // (network.counts.order + 3)]
    hashes = np.concatenate(list(read_in_stretches(_hashes, network, ids[:-1])))
    strings = [np.asarray(each, np.int64) for each in (ids[:-1], *hashes.T)]
    most = min(MOST_BYTES // symbols, 2**ROW_BITS - 1) - symbols
    singles, *longer = followers(strings, np.asarray(ids[1:], np.int64), symbols, most)
    rows = np.concatenate([level.rows for level in (singles, *longer)])
    nats = -np.log(np.maximum(rows, np.finfo(rows.dtype).tiny))
    return Table(
        index=_index(longer, symbols),
        rows=np.minimum(np.rint(STEPS_PER_NAT * nats), 255).astype(np.uint8),
        weights=np.array(WEIGHTS, np.float32),
    )


def with_its_counts(
    of_text: OfText, network: Network, ids: Ids, note: Callable[[str], None]
) -> OfText:
    """Return what a network is told of a text, with its counts if they are missing.

    Without enough memory for them, the network is left alone, and a note says so.
    """
    if of_text.counts is not None:
        return of_text
    try:
        return replace(of_text, counts=count_text(network, ids))
    except MemoryError:
        note("note: too little memory to count the text; the network predicts alone (--counts 0)")
        return of_text


def _hashes(network: Network, carry: Carry, inputs: Inputs) -> tuple[Carry, Array]:
    """Return the carry after a window, and the hashes of the strings that end in it."""
    found = network.reading.find(carry, inputs, None)
    assert found.hashes is not None
    return network.reading.join(found.cell_carry, found.tails), found.hashes


def _index(levels: list[Strings], first: int) -> npt.NDArray[np.uint32]:
    """Return where the rows of strings are, which are numbered from `first` on."""
    numbers, counts = (
        np.concatenate([getattr(level, name) for level in levels]) for name in ("numbers", "counts")
    )
    rows = first + np.arange(len(numbers))
    bits = max(_FEWEST_BITS, (len(numbers) // PLACES).bit_length() + 2)
    place, mark = map(np.asarray, place_and_mark(jnp.asarray(numbers, jnp.uint32), bits))
    # The commonest of those that have the same place come first; what is behind the fourth is lost.
    order = np.lexsort((-counts, place))
    place = place[order]
    begins_there = np.searchsorted(place, place)
    rank = np.arange(len(place)) - begins_there
    kept = rank < PLACES
    index = np.zeros((1 << bits, PLACES), np.uint32)
    index[place[kept], rank[kept]] = (rows + 1 | mark << ROW_BITS)[order[kept]]
    return index
