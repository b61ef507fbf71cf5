"""Signals: the first Ctrl-C asks training to end, the second leaves at once."""

import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """During the block, Ctrl-C makes the function that is yielded return True.

    A Python exception in the middle of a device call would lose the training state, whose buffers
    the call has consumed; so the loop asks between calls instead.
    """
    seen: list[int] = []

    def handle(number: int, frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        say("\nstopping after this device call; Ctrl-C again to leave at once")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)
