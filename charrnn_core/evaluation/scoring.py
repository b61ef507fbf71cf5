"""Scoring: the nats of every character of a text, read once, on all devices.

A single pass reads one character at a time, which leaves a processor mostly idle. Here a long
piece of text is cut into stretches that are read in parallel. Each stretch but a piece's first
warms up on the characters before it, without counting them, so that its carry is close to that of
the single pass.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from charrnn_core.cell import Carry, Params
from charrnn_core.errors import CorpusError
from charrnn_core.network.mesh import data_mesh, fetched, own_mesh, spread
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program, placed_shapes
from charrnn_core.text.mapped import give_back
from charrnn_core.text.split import Piece, count_characters

Nats = npt.NDArray[np.float32]
Measure = Callable[[jax.Array, jax.Array], jax.Array]
"""What to keep of ``logits: float[...,V]`` and ``targets: int32[...]``: an array that begins so."""

WARM_UP = 256
"""Characters that a stretch reads before those it scores."""

STREAMS = 64
"""The most stretches to read in parallel; with so many, texts of any length share a program."""

_FEWER_STREAMS = 8
"""How many for a text where so many would warm up longer than they score; or 1 for a short one."""

_LEAST_STREAMS = 4
"""Streams to each device, unless the number of devices is given."""

_LEAST_WINDOW = 128
_LEAST_CALLS = 8
"""A window is no shorter than the one, and a stretch has as many as the other if it can."""

_MOST_STEPS = 1 << 16
_CHARACTERS_PER_CALL = 1 << 13
_LOGITS_PER_CALL = 1 << 24
_NUMBERS_KEPT = 1 << 24
"""Bounds for what a call reads, and for how much of its results waits to be put in order."""


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


def log_p_of(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the log-probabilities of all symbols: ``float[...,V], int32[...] -> float[...,V]``."""
    del targets
    return jax.nn.log_softmax(logits)


def cut_stretches(
    lengths: Sequence[int], streams: int, warm_up: int, most: int | None = None
) -> list[Stretch]:
    """Cut pieces of these lengths into about as many stretches as there are streams.

    All but the last of a piece take the same number of steps, at most about `most` of them; every
    character is scored once.

    >>> cut_stretches([10], streams=2, warm_up=2)
    [Stretch(piece=0, begin=0, skip=0, scored=6), Stretch(piece=0, begin=4, skip=2, scored=4)]
    """
    total = sum(lengths)
    steps = -(-(total + (streams - 1) * warm_up) // streams)
    if streams > 1:
        steps = max(2 * warm_up, min(steps, most or _MOST_STEPS))
    stretches = []
    for number, length in enumerate(lengths):
        done = 0
        while done < length:
            skip = min(done, warm_up) if streams > 1 else 0
            count = min(steps - skip, length - done)
            stretches.append(Stretch(number, done - skip, skip, count))
            done += count
    return stretches


class Scorer:
    """Scores texts: ``(params, pieces) -> nats``, the negative log-likelihoods in order.

    A call yields float32 arrays, which together have one number for every character of the pieces;
    those of `log_p` have V numbers for each. Each piece begins with a fresh carry. Mapped ids are
    released as soon as they are read.

    The programs are kept with the scorer. Texts of different sizes share them: streams and windows
    have few sizes, and what is left of the last window is padding.

    Arguments:
        network: any network.
        streams: how many stretches to read in parallel; 1 is the literal single pass. The default
            is 64, or 8, or 1, so that few characters are read only to warm up.
        warm_up: characters a stretch reads before those it scores.
        shards: the devices to use, those of a run, which may belong to many processes; by default
            as many of this process as are of use.
        characters_per_call: bounds the memory for activations; does not change the result.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> piece = Piece(0, np.arange(5))
    >>> [nats.shape for nats in Scorer(network)(network.init(jax.random.key(0)), [piece])]
    [(5,)]
    """

    def __init__(
        self,
        network: Network,
        *,
        streams: int | None = None,
        warm_up: int = WARM_UP,
        shards: int | None = None,
        characters_per_call: int = _CHARACTERS_PER_CALL,
    ) -> None:
        self._network, self._streams, self._warm_up = network, streams, warm_up
        self._shards, self._characters_per_call = shards, characters_per_call
        self._begin = Program(network.initial_carry, static=["batch"])
        self._read = Program(partial(_read_window, network), static=["measure"])

    def __call__(self, params: Params, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the nats of every character of the pieces.

        Raises:
            CorpusError: the pieces have no characters.
        """
        return self._score(params, pieces, nats_of, 1)

    def log_p(self, params: Params, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the log-probabilities of all symbols at every character, each float32[n,V].

        Fewer streams are read than for the nats, and shorter stretches, if there are many symbols.
        """
        return self._score(params, pieces, log_p_of, self._network.symbols)

    def _score(
        self, params: Params, pieces: Sequence[Piece], measure: Measure, numbers: int
    ) -> Iterator[Nats]:
        """Yield what is measured at every character, so many numbers."""
        if not count_characters(pieces):
            raise CorpusError("cannot score 0 characters; expected at least 1")
        plan = self._plan([len(piece.ids) for piece in pieces], numbers)
        params = spread(params, plan.everywhere)
        for first in range(0, len(plan.stretches), plan.rows):
            some = plan.stretches[first : first + plan.rows]
            steps = plan.whole_windows(some)
            block = _gather(pieces, some, (steps + 1, plan.columns))
            carry = spread(self._begin(params, batch=plan.columns), plan.by_row)
            windows = self._windows(params, carry, block, plan, measure)
            if plan.rows > 1:  # all windows of a stretch come before the next stretch
                windows = [np.concatenate([fetched(each) for each in [*windows]])]
            start = 0
            for columns in map(fetched, windows):
                ends = [stretch.skip + stretch.scored - start for stretch in some]
                yield np.concatenate(
                    [
                        columns[max(0, stretch.skip - start) : end, column]
                        for column, (stretch, end) in enumerate(zip(some, ends, strict=True))
                    ]
                )
                start += len(columns)

    def _windows(
        self, params: Params, carry: Carry, block: Any, plan: "_Plan", measure: Measure
    ) -> Iterator[Any]:
        """Yield what is measured, window by window, each [T,B,...]."""
        for start in range(0, len(block) - 1, plan.window):
            ids = block[start : start + plan.window + 1].astype(np.int32)
            ids = spread(ids, plan.by_column)
            carry, measured = self._read(params, carry, ids, measure=measure)
            yield measured

    def ahead(self, params: Params, lengths: Sequence[int]) -> None:
        """Compile what a call will need, in any thread, before it is needed.

        Arguments:
            params: the parameters, or their shapes.
            lengths: the lengths of the pieces, in ids.
        """
        plan = self._plan(lengths)
        params = placed_shapes(params, plan.everywhere)
        carry = self._begin.ahead(params, batch=plan.columns)
        ids = placed_shapes(np.zeros((plan.window + 1, plan.columns), np.int32), plan.by_column)
        self._read.ahead(params, placed_shapes(carry, plan.by_row), ids, measure=nats_of)

    def _plan(self, lengths: Sequence[int], numbers: int = 1) -> "_Plan":
        kept = _NUMBERS_KEPT // numbers  # characters
        fitting = min(sum(lengths), kept // 2)
        rows = self._streams or _fitting_streams(fitting, self._warm_up)
        stretches = cut_stretches(lengths, rows, self._warm_up, min(_MOST_STEPS, kept // rows))
        if self._streams:
            rows = min(rows, len(stretches))
        most = min(self._characters_per_call, _LOGITS_PER_CALL // self._network.symbols)
        window = max(_LEAST_WINDOW, max(map(_steps, stretches)) // _LEAST_CALLS)
        window = _power_of_two(min(window, max(1, most // rows)))
        return _Plan(stretches, rows, window, self._mesh(rows))

    def _mesh(self, rows: int) -> Mesh:
        if self._shards:
            return data_mesh(self._shards)
        return own_mesh(max(1, min(len(jax.local_devices()), rows // _LEAST_STREAMS)))


def _read_window(
    network: Network, params: Params, carry: Carry, ids: Any, *, measure: Measure
) -> tuple[Carry, Any]:
    logits, carry = network.unroll(params, carry, ids[:-1])
    return carry, measure(logits, ids[1:])


class _Plan:
    """How a text is read.

    Arguments:
        stretches: what the streams read.
        rows: how many of them are read at once.
        window: T, characters per call.
        mesh: the devices that share the rows.

    There are as many columns as rows, or a few more that nothing is read in, so that every device
    has the same number of them.
    """

    def __init__(self, stretches: list[Stretch], rows: int, window: int, mesh: Mesh) -> None:
        self.stretches, self.rows, self.window = stretches, rows, window
        self.columns = -(-rows // mesh.size) * mesh.size
        axes = ((), ("data",), (None, "data"))
        self.everywhere, self.by_row, self.by_column = (
            NamedSharding(mesh, PartitionSpec(*each)) for each in axes
        )

    def whole_windows(self, stretches: Sequence[Stretch]) -> int:
        """Return the number of steps, a multiple of the window, that read all these stretches."""
        return -(-max(map(_steps, stretches)) // self.window) * self.window


def _steps(stretch: Stretch) -> int:
    return stretch.skip + stretch.scored


def _power_of_two(most: int) -> int:
    """Return the largest power of two that is at most this."""
    return 1 << (most.bit_length() - 1)


def _fitting_streams(characters: int, warm_up: int) -> int:
    """Return a number of streams that suits the text, whatever there is to read it with."""
    return next((rows for rows in (STREAMS, _FEWER_STREAMS) if characters >= rows * warm_up), 1)


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
