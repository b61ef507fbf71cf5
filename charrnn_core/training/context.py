"""The surroundings of a training, none of which affects what is learned."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn_core.registry.provider import Provider
from charrnn_core.registry.registry import Registry
from charrnn_core.signals import KeyboardStop
from charrnn_core.terminal import to_stderr
from charrnn_core.training.processes import Alone, Processes


@dataclass(frozen=True, kw_only=True)
class TrainingContext:
    """The plugins, the observers, the clock and the messages of a training.

    Arguments:
        registry: the plugins to use; by default those installed.
        observers: objects to notify, besides those that the configuration names.
        started: the reading of ``time.monotonic()`` from which minutes count; now if None.
        stop: called between device calls; if it returns True, training saves and ends.
        note: takes lines for the user.
        updates_per_call: the most updates between two calls of `stop`; None leaves it to the loop.
        from_first_update: whether minutes count from the first update instead.
        baselines: whether the result is compared with n-grams and xz.
        processes: those that train together; by default this one alone.
    """

    registry: Registry = field(default_factory=Registry.installed)
    observers: tuple[object, ...] = ()
    started: float = field(default_factory=time.monotonic)
    stop: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = to_stderr
    updates_per_call: int | None = None
    from_first_update: bool = False
    baselines: bool = True
    processes: Processes = field(default_factory=Alone)

    @classmethod
    def of(
        cls,
        registry: Registry | None,
        observers: Iterable[object],
        started: float | None,
        stop: Callable[[], bool] | None,
        plugins: Iterable[Provider],
        **others: Any,
    ) -> "TrainingContext":
        """Build a context from the arguments of `train` and `resume`."""
        others["registry"] = (registry or Registry.installed()).offering(plugins)
        if stop is None and KeyboardStop.is_of_use():
            stop = KeyboardStop()
            observers = [*observers, stop]
        if stop is not None:
            others["stop"] = stop
        if started is not None:
            others["started"] = started
        return cls(observers=tuple(observers), **others)

    def resumed(self, seconds: float, plugins: Iterable[Mapping[str, Any]]) -> "TrainingContext":
        """Return the context for a run that has trained for `seconds` and used these plugins."""
        return dataclasses.replace(
            self,
            started=self.started - seconds,
            registry=self.registry.preferring(plugins),
        )
