"""The updates of one device call, up to the first at which training ends or rolls back."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn_core.network.mesh import fetched
from charrnn_core.training.batches import Batch
from charrnn_core.training.state import Measured, Program, TrainState

MOST_SKIPS = 20
"""How many consecutive updates may be unsound."""


def advance(
    program: Program,
    state: TrainState,
    batches: Batch,
    count: int,
    total_steps: int,
    *,
    non_finite: str,
    skipped: int,
) -> tuple[TrainState, Measured]:
    """Make up to `count` updates.

    A device call makes all its updates at once. The state before it is kept, and if an update is
    unsound, the call is repeated with fewer updates; their number does not change the bits of the
    result.

    Arguments:
        program: makes the updates.
        state: the state before them.
        batches: a batch for each update, behind a leading axis.
        count: how many updates to make.
        total_steps: the updates of the whole run, for the optimizer's schedule.
        non_finite: the policy, see `charrnn_core.training.policy.Policy`.
        skipped: how many consecutive updates were unsound just before these.

    Returns:
        A finite state, and what was measured of the updates up to the first unsound one.
    """
    call = _Call(program, state, batches, np.int32(total_steps), after=state)
    measured = call.make(count)
    nats, made, lost = (np.array(fetched(each))[:count] for each in measured[:3])
    if non_finite != "skip":
        unsound = ~np.isfinite(nats)
        if non_finite == "stop":
            unsound |= lost.any(axis=1)
        first = int(np.argmax(np.append(unsound, True)))
        if first < count or not measured.sound:
            good = _make_sound(call.make, first)
            made[good:], count = False, min(good + 1, count)
    last = _first_beyond_limit(made[:count] & ~lost[:count].any(axis=1), skipped)
    if last is not None:
        call.make(last)
        count = last + 1
    return call.after, Measured(nats[:count], made[:count], lost[:count], True)


@dataclass
class _Call:
    """A device call, which can be repeated from the same state with fewer updates."""

    program: Program
    state: TrainState
    batches: Batch
    total_steps: np.int32
    after: TrainState

    def make(self, count: int) -> Measured:
        """Make the first `count` updates; `after` is the state after them."""
        self.after, measured = self.program(
            self.state, self.batches, np.int32(count), self.total_steps
        )
        return measured


def _make_sound(make: Callable[[int], Measured], most: int) -> int:
    """Make as many of the first `most` updates as leave the state finite, and return how many.

    A parameter may become infinite before a loss does; bisection finds the update.
    """
    if make(most).sound:
        return most
    numbers = range(1, most)
    good = bisect_left(numbers, True, key=lambda number: not make(number).sound)
    make(good)
    return good


def _first_beyond_limit(sound: npt.NDArray[np.bool_], skipped: int) -> int | None:
    """Return the index of the update with which more than `MOST_SKIPS` in a row are unsound.

    >>> _first_beyond_limit(np.array([True, False, False]), skipped=MOST_SKIPS)
    >>> _first_beyond_limit(np.array([False, True, False]), skipped=MOST_SKIPS)
    0
    """
    for index, is_sound in enumerate(sound):
        skipped = 0 if is_sound else skipped + 1
        if skipped > MOST_SKIPS:
            return index
    return None
