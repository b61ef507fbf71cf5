"""Signals: while training, the first Ctrl-C asks it to end, the second leaves at once."""

import signal
from collections.abc import Callable
from typing import Any


class Interrupt:
    """An observer that notices Ctrl-C from the start of training to its end.

    Called, it says whether Ctrl-C was pressed. A Python exception in the middle of a device call
    would lose the training state, whose buffers the call has consumed; so the loop asks between
    calls instead. Before training starts, Ctrl-C means what it always does.

    Arguments:
        say: takes the line the user should see.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pressed = False
        self._before: Any = signal.SIG_DFL

    def __call__(self) -> bool:
        return self._pressed

    def on_start(self, event: object) -> None:
        self._before = signal.signal(signal.SIGINT, self._handle)

    def on_end(self, event: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: object) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
        self._say("\nstopping after this device call; Ctrl-C again to leave at once")
