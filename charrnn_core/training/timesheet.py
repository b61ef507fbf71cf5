"""What the time of a run is spent on: every second is charged to something."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping

from charrnn_core.events import TimeSpent


class TimeSheet:
    """Charges the time of a run to what it was spent on; what nothing else claims is other.

    Arguments:
        clock: returns seconds.
        began: the clock's reading when this session of the run began.
        before: the seconds of earlier sessions, by the names of `TimeSpent`.

    >>> now = [10.0]
    >>> sheet = TimeSheet(lambda: now[0], began=7.0)
    >>> sheet.end_start_up()
    >>> with sheet.charged("updates"):
    ...     now[0] += 2.0
    >>> sheet.spent.line()
    '5.0 s: updates 2.0 (40 %), start-up 3.0'
    """

    def __init__(
        self, clock: Callable[[], float], began: float, before: Mapping[str, float] | None = None
    ) -> None:
        self._clock, self._began = clock, began
        self._before = dict(before or {})
        self._charged: dict[str, float] = {}

    def end_start_up(self) -> None:
        """Charge all of this session so far to start-up, except what is charged already."""
        self._add("start_up", self._clock() - self._began - sum(self._charged.values()))

    @contextlib.contextmanager
    def charged(self, what: str) -> Iterator[None]:
        """Charge the time of the block; `what` is the name of a field of `TimeSpent`."""
        began = self._clock()
        try:
            yield
        finally:
            self._add(what, self._clock() - began)

    @property
    def spent(self) -> TimeSpent:
        """Where the time of all sessions has gone so far."""
        other = self._clock() - self._began - sum(self._charged.values())
        here = {**self._charged, "other": max(0.0, other)}
        names = [field.name for field in dataclasses.fields(TimeSpent)]
        return TimeSpent(
            **{name: self._before.get(name, 0.0) + here.get(name, 0.0) for name in names}
        )

    def _add(self, what: str, seconds: float) -> None:
        self._charged[what] = self._charged.get(what, 0.0) + max(0.0, seconds)
