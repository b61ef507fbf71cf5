"""The processes that train together: who leads, what they agree on, and how they end.

All that is special about a training over many processes is here; elsewhere every process runs the
same code on arrays that all have a part of. One leads: it claims the run's directory, writes,
observes, prints and samples. The others need no file system in common with it.

Whatever decides what comes next has to be the same everywhere, or one process would wait for what
another never does: the clock is the leader's, read at the same places by all (`agree`), a signal to
one is a signal to all, and before every device call they make sure that they are about to make the
same updates.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from charrnn_core.files.checkpoint import Checkpoint


class Processes(Protocol):
    """What a training needs of the processes that take part in it."""

    leads: bool
    has_others: bool

    def clock(self) -> float:
        """Return seconds, the same in all processes."""
        ...

    def meet(self, shards: int) -> None:
        """Connect the devices that share the streams."""
        ...

    def agree(self, step: int) -> None:
        """Read the leader's clock, and hear of signals; all have to be at the same update."""
        ...

    def own_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Return the clock to say with what time is spent on; `clock` is the one they agree on."""
        ...

    def stops(self, asked: Callable[[], bool]) -> bool:
        """Return whether one of them was asked to stop, as they have last agreed."""
        ...

    def of_leader(self, number: float) -> float:
        """Return the leader's number."""
        ...

    def told(self, data: bytes | None) -> bytes:
        """Return what the leader passes; the others pass None."""
        ...

    def checkpoint(self, read: tuple[Path, Checkpoint] | None) -> Checkpoint:
        """Return the checkpoint that the leader has read from a file; the others pass None."""
        ...

    def demand_same(self, what: Mapping[str, object]) -> None:
        """Refuse to go on unless all pass the same; the error has the name and both values."""
        ...


class Alone:
    """A process that trains by itself: it leads, and agrees with itself.

    >>> Alone().of_leader(3.5)
    3.5
    """

    leads = True
    has_others = False

    def clock(self) -> float:
        return time.monotonic()

    def meet(self, shards: int) -> None:
        del shards

    def agree(self, step: int) -> None:
        del step

    def own_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        return clock

    def stops(self, asked: Callable[[], bool]) -> bool:
        return asked()

    def of_leader(self, number: float) -> float:
        return number

    def told(self, data: bytes | None) -> bytes:
        assert data is not None
        return data

    def checkpoint(self, read: tuple[Path, Checkpoint] | None) -> Checkpoint:
        assert read is not None
        return read[1]

    def demand_same(self, what: Mapping[str, object]) -> None:
        del what
