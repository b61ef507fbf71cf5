"""Scoring: the nats of every character of a text, read once, on all devices.

A single pass reads one character at a time, which leaves a processor mostly idle. Here a long
piece of text is cut into stretches that are read in parallel. Each stretch but a piece's first
warms up on the characters before it, without counting them, so that its carry is close to that of
the single pass.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.cell import Carry, Params
from charrnn_core.errors import CorpusError
from charrnn_core.network.mesh import data_mesh, fitting_shards
from charrnn_core.network.network import Network
from charrnn_core.text.mapped import give_back
from charrnn_core.text.split import Piece, count_characters

Nats = npt.NDArray[np.float32]
Scorer = Callable[[Params, Sequence[Piece]], Iterator[Nats]]

WARM_UP = 256
"""Characters that a stretch reads before those it scores."""

_SHARE = 8
"""A stretch is at least this many times as long as its warm-up; a short text has fewer of them."""

STREAMS = 64
"""The most stretches to read in parallel; with so many, texts of any length share a program."""

_MOST_STEPS = 1 << 16
_CHARACTERS_PER_CALL = 1 << 13
_LOGITS_PER_CALL = 1 << 24


class Stretch(NamedTuple):
    """What one stream reads of a piece.

    Fields:
        piece: the index of the piece.
        begin: the first character to read; 0 is the one before the piece.
        skip: the number of predictions that only warm up.
        scored: the number of predictions after them, which count.
    """

    piece: int
    begin: int
    skip: int
    scored: int


def nats_of(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return ``-log softmax(logits)[target]``: ``float[...,V], int32[...] -> float[...]``."""
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]


def cut_stretches(lengths: Sequence[int], streams: int, warm_up: int) -> list[Stretch]:
    """Cut pieces of these lengths into about as many stretches as there are streams.

    All but the last of a piece take the same number of steps; every character is scored once.

    >>> cut_stretches([10], streams=2, warm_up=2)
    [Stretch(piece=0, begin=0, skip=0, scored=6), Stretch(piece=0, begin=4, skip=2, scored=4)]
    """
    total = sum(lengths)
    steps = -(-(total + (streams - 1) * warm_up) // streams)
    if streams > 1:
        steps = max(2 * warm_up, min(steps, _MOST_STEPS))
    stretches = []
    for number, length in enumerate(lengths):
        done = 0
        while done < length:
            skip = min(done, warm_up) if streams > 1 else 0
            count = min(steps - skip, length - done)
            stretches.append(Stretch(number, done - skip, skip, count))
            done += count
    return stretches


def make_scorer(
    network: Network,
    *,
    streams: int | None = None,
    warm_up: int = WARM_UP,
    shards: int | None = None,
    characters_per_call: int = _CHARACTERS_PER_CALL,
) -> Scorer:
    """Compile a function ``(params, pieces) -> nats``, the negative log-likelihoods in order.

    The function yields float32 arrays, which together have one number for every character of the
    pieces. Each piece begins with a fresh carry. Mapped ids are released as soon as they are read.

    Arguments:
        network: any network.
        streams: how many stretches to read in parallel; 1 is the literal single pass. The default
            is the largest number, up to 64, whose warm-up is less than an eighth of the work.
        warm_up: characters a stretch reads before those it scores.
        shards: the most devices to use; all by default.
        characters_per_call: bounds the memory for activations; does not change the result.

    Raises (the function):
        CorpusError: the pieces have no characters.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> piece = Piece(0, np.arange(5))
    >>> [nats.shape for nats in make_scorer(network)(network.init(jax.random.key(0)), [piece])]
    [(5,)]
    """

    @jax.jit
    def read(params: Params, carry: Carry, ids: jax.Array) -> Any:
        logits, carry = network.unroll(params, carry, ids[:-1])
        return carry, nats_of(logits, ids[1:])

    def score(params: Params, pieces: Sequence[Piece]) -> Iterator[Nats]:
        if not count_characters(pieces):
            raise CorpusError("cannot score 0 characters; expected at least 1")
        devices = shards or len(jax.devices())
        wanted = streams or _fitting_streams(pieces, warm_up, devices)
        stretches = cut_stretches([len(piece.ids) for piece in pieces], wanted, warm_up)
        rows = min(wanted, len(stretches))
        longest = max(stretch.skip + stretch.scored for stretch in stretches)
        most = min(characters_per_call, _LOGITS_PER_CALL // network.symbols)
        window = min(longest, max(1, most // rows))
        calls = -(-longest // window)
        mesh = data_mesh(fitting_shards(rows, devices))
        everywhere, by_row, by_column = (
            NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",), (None, "data"))
        )
        params = jax.device_put(params, everywhere)
        for first in range(0, len(stretches), rows):
            some = stretches[first : first + rows]
            block = _gather(pieces, some, (calls * window + 1, rows))
            carry = jax.device_put(network.initial_carry(params, rows), by_row)
            nats = []
            for start in range(0, calls * window, window):
                ids = block[start : start + window + 1].astype(np.int32)
                carry, more = read(params, carry, jax.device_put(ids, by_column))
                nats.append(more)
            columns = np.concatenate([np.asarray(more) for more in nats]).T
            yield np.concatenate(
                [
                    column[stretch.skip : stretch.skip + stretch.scored]
                    for column, stretch in zip(columns, some, strict=False)
                ]
            )

    return score


def _fitting_streams(pieces: Sequence[Piece], warm_up: int, devices: int) -> int:
    """Return a number of streams that suits the text and divides among the devices."""
    wanted = max(count_characters(pieces) // (_SHARE * max(1, warm_up)), len(pieces))
    wanted = max(1, min(wanted, STREAMS))
    return wanted - wanted % devices if wanted > devices else wanted


def _gather(pieces: Sequence[Piece], stretches: Sequence[Stretch], shape: tuple[int, int]) -> Any:
    """Return the ids that the streams read, one stream in each column."""
    block = np.zeros(shape, pieces[0].ids.dtype)
    for column, (number, begin, skip, scored) in zip(block.T, stretches, strict=False):
        before, ids = pieces[number]
        end = begin + skip + scored
        if begin == 0:
            column[0] = before
            column[1 : end + 1] = ids[:end]
        else:
            column[: end - begin + 1] = ids[begin - 1 : end]
        give_back(ids)
    return block
