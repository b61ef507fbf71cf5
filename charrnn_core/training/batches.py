"""Batches: the characters of every update, as a pure function of (seed, epoch, index).

Time comes first. A batch holds inputs and the characters that follow them; every predicted
character of an epoch occurs in exactly one batch with weight 1, and nothing wraps around.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from charrnn_core.errors import CorpusError
from charrnn_core.randomness import random_below
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.mapped import give_back

MINIMUM_WINDOW = 8
"""The shortest window to shrink to when the text is too short for the chosen one."""

_STREAMS_AT_ONCE = 32
"""How many streams of mapped ids are read before releasing memory: each may take a 2 MB page."""


class Batch(NamedTuple):
    """One window of every stream, or several windows behind a leading axis.

    The arrays are NumPy's on the host and JAX's inside jit.

    Fields:
        inputs, targets: int32[T,B]; ``targets`` are the characters after ``inputs``.
        reset: bool[B]; where True, the stream begins a text: its carry is reset before the window.
        weights: float32[T,B]; 1 for a character that counts, 0 for padding.
    """

    inputs: Any
    targets: Any
    reset: Any
    weights: Any


class Batching(Protocol):
    """An order in which training reads a text."""

    @property
    def ids(self) -> Ids: ...

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def characters_per_epoch(self) -> int: ...

    def batch(self, epoch: int, index: int) -> Batch:
        """Return the batch of update `index` of an epoch."""
        ...

    def positions(self, epoch: int, index: int) -> tuple[int, ...]:
        """Return where in the text each stream's window of that update starts."""
        ...


def _gather(
    ids: Ids, positions: npt.NDArray[np.int64], ends: npt.NDArray[np.int64] | int, first: bool
) -> Batch:
    """Read the characters at `positions` [T,B]; those at or after `ends` are padding."""
    counts = positions < ends
    at = np.where(counts, positions, 0)
    reset = np.full(positions.shape[1], first)
    inputs, targets = (np.empty(positions.shape, np.int32) for _ in range(2))
    for first_stream in range(0, positions.shape[1], _STREAMS_AT_ONCE):
        if first_stream:
            give_back(ids)
        some = np.s_[:, first_stream : first_stream + _STREAMS_AT_ONCE]
        inputs[some], targets[some] = ids[at[some]], ids[at[some] + 1]
    return Batch(inputs, targets, reset, counts.astype(np.float32))


@dataclass(frozen=True)
class Streams:
    """B contiguous streams cut into windows of T; the carry continues from window to window.

    Arguments:
        ids: the training text, N integers.
        streams: B, how many streams are read in parallel.
        window: T, characters per window.

    An epoch is one pass over all N - 1 predictions. Streams differ in length by at most one; the
    last window is padded.

    >>> batches = Streams(np.arange(9, dtype=np.int32), streams=2, window=3)
    >>> batches.steps_per_epoch, batches.batch(0, 0).inputs.T.tolist()
    (2, [[0, 1, 2], [4, 5, 6]])
    >>> batches.batch(0, 1).weights.T.tolist()
    [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """

    ids: Ids
    streams: int
    window: int

    @cached_property
    def _bounds(self) -> npt.NDArray[np.int64]:
        return (
            np.arange(self.streams + 1, dtype=np.int64) * self.characters_per_epoch // self.streams
        )

    @property
    def characters_per_epoch(self) -> int:
        return len(self.ids) - 1

    @property
    def steps_per_epoch(self) -> int:
        longest = -(-self.characters_per_epoch // self.streams)
        return -(-longest // self.window)

    def batch(self, epoch: int, index: int) -> Batch:
        del epoch  # every epoch reads the same streams
        times = index * self.window + np.arange(self.window, dtype=np.int64)
        positions = times[:, None] + self._bounds[None, :-1]
        return _gather(self.ids, positions, self._bounds[None, 1:], first=index == 0)

    def positions(self, epoch: int, index: int) -> tuple[int, ...]:
        del epoch
        return tuple((index * self.window + self._bounds[:-1]).tolist())


@dataclass(frozen=True)
class Subsequences:
    """One random contiguous stretch per epoch, cut into windows of T, starting with a fresh carry.

    Arguments:
        ids: the training text, N integers.
        stretch: characters predicted per epoch; at most N - 1.
        window: T, characters per window. There is one stream, so B = 1.
        seed: the random seed of the stretches' positions.

    >>> batches = Subsequences(np.arange(100, dtype=np.int32), stretch=10, window=4, seed=0)
    >>> batches.steps_per_epoch, batches.batch(5, 2).weights.T.tolist()
    (3, [[1.0, 1.0, 0.0, 0.0]])
    """

    ids: Ids
    stretch: int
    window: int
    seed: int

    @property
    def characters_per_epoch(self) -> int:
        return min(self.stretch, len(self.ids) - 1)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.characters_per_epoch // self.window)

    def batch(self, epoch: int, index: int) -> Batch:
        start = self._start(epoch)
        times = index * self.window + np.arange(self.window, dtype=np.int64)
        end = start + self.characters_per_epoch
        return _gather(self.ids, start + times[:, None], end, first=index == 0)

    def positions(self, epoch: int, index: int) -> tuple[int, ...]:
        return (self._start(epoch) + index * self.window,)

    def _start(self, epoch: int) -> int:
        starts = len(self.ids) - self.characters_per_epoch
        return random_below(starts, self.seed, "data", epoch)


def stack_batches(batches: Batching, step: int, count: int, room: int) -> Batch:
    """Return the batches of `count` updates from `step` on, stacked along a new leading axis.

    The axis has length `room`, so that one compiled program serves any count: it is padded by
    repeating the last batch. The memory of mapped ids is released.
    """
    per_epoch = batches.steps_per_epoch
    stacked = [batches.batch(*divmod(step + i, per_epoch)) for i in range(count)]
    stacked += [stacked[-1]] * (room - count)
    give_back(batches.ids)
    return Batch(
        inputs=np.stack([batch.inputs for batch in stacked]),
        targets=np.stack([batch.targets for batch in stacked]),
        reset=np.stack([batch.reset for batch in stacked]),
        weights=np.stack([batch.weights for batch in stacked]),
    )


def fit_geometry(
    length: int, streams: int, window: int, unit: str = "character"
) -> tuple[int, int]:
    """Shrink (B, T) until a text fills one window: first fewer streams, then a shorter window.

    Arguments:
        length: N, the length of the training text.
        streams: B, the number of streams wanted.
        window: T, the window wanted.
        unit: what the text consists of, for messages.

    Raises:
        CorpusError: the text is too short for any window; the message names the minimum.

    >>> fit_geometry(10_000, 32, 64), fit_geometry(1_000, 32, 64), fit_geometry(50, 32, 64)
    ((32, 64), (15, 64), (1, 49))
    """
    predictions = length - 1
    least = min(window, MINIMUM_WINDOW)
    if predictions < least:
        raise CorpusError(
            f"the training part of the text has {length} {unit}s; expected at least {least + 1}, "
            "for one window: use a longer text"
        )
    return max(1, min(streams, predictions // window)), min(window, predictions)
