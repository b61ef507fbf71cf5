"""The updates of one device call, and none after one at which training ends or rolls back."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.training.batches import Batch
from charrnn_core.training.update import Measured, TrainState

MOST_SKIPS = 20
"""How many updates in a row may not be sound."""

Program = Callable[..., tuple[TrainState, Measured]]
"""``(state, batches, count, total_steps) -> (state, Measured)``, see `Trainer.compile`."""


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

    A call makes all its updates at once. So the state from before is kept, and if one of them is
    not sound, the call is repeated with fewer: how many there are in a call does not change a bit
    of the result.

    Arguments:
        non_finite: the policy, see `charrnn_core.training.policy.Policy`.
        skipped: how many updates in a row were not sound before these.

    Returns:
        A state that is finite, and what was measured of the updates up to the one that is to blame.
    """
    after = state

    def make(count: int) -> Measured:
        nonlocal after
        after, measured = program(state, batches, np.int32(count), np.int32(total_steps))
        return measured

    measured = make(count)
    nats, made, lost = (np.array(each)[:count] for each in measured[:3])
    if non_finite != "skip":
        unsound = ~np.isfinite(nats)
        if non_finite == "stop":
            unsound |= lost.any(axis=1)
        first = int(np.argmax(np.append(unsound, True)))
        if first < count or not measured.sound:
            good = _make_sound(make, first)
            made[good:], count = False, min(good + 1, count)
    last = _one_too_many(made[:count] & ~lost[:count].any(axis=1), skipped)
    if last is not None:
        make(last)
        count = last + 1
    return after, Measured(nats[:count], made[:count], lost[:count], True)


def _make_sound(make: Callable[[int], Measured], most: int) -> int:
    """Make as many of the first `most` updates as leave the state finite, and return how many.

    A loss may still be finite when a parameter no longer is; a search by halves finds the update.
    """
    if make(most).sound:
        return most
    numbers = range(1, most)
    good = bisect_left(numbers, True, key=lambda number: not make(number).sound)
    make(good)
    return good


def _one_too_many(sound: npt.NDArray[Any], skipped: int) -> int | None:
    """Return the index of the update that makes too many in a row that were not sound.

    >>> _one_too_many(np.array([True, False, False]), skipped=MOST_SKIPS)
    >>> _one_too_many(np.array([False, True, False]), skipped=MOST_SKIPS)
    0
    """
    for index, one in enumerate(sound):
        skipped = 0 if one else skipped + 1
        if skipped > MOST_SKIPS:
            return index
    return None
