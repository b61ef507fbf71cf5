"""Signals during training: the first asks it to stop, the second quits immediately."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupt:
    """An observer that catches SIGINT, SIGTERM and SIGHUP from the start of training to its end.

    Calling it returns whether a signal has arrived. A Python exception in the middle of a device
    call would lose the training state, whose buffers the call has consumed; so the loop polls
    between calls instead. A second signal ends the process, even in the middle of a call: a thread
    waits for it, because Python's own handlers wait for the call to end. Before training starts,
    signals have their usual effect; one that is ignored, as under ``nohup``, stays ignored.

    Arguments:
        say: called with the line that the user should see.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._before: dict[int, Any] = {}
        self._wakeup = (-1, -1)
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code that a shell expects after the signal."""
        return 128 + (self.signal or 0)

    def on_start(self, event: object) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._wakeup = writer, signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda number, frame: None)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    def on_end(self, event: object) -> None:
        writer, before = self._wakeup
        signal.set_wakeup_fd(before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(writer)

    def _watch(self, reader: int) -> None:
        """Read the numbers of signals as they arrive, until the other end is closed."""
        while byte := os.read(reader, 1):
            if byte[0] in self._before:
                self.take(byte[0])
        os.close(reader)

    def take(self, number: int) -> None:
        """Note the first signal, and end the process at the second."""
        if self.signal is not None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                if os.isatty(2):
                    os.write(2, _SHOW_CURSOR)  # a progress bar may have hidden it
            os._exit(128 + number)
        self.signal = number
        self._say("\nstopping after this device call; press Ctrl-C again to quit immediately")


class KeyboardStop:
    """An observer that lets a first KeyboardInterrupt end a training in good order.

    It is for programs and notebooks, where SIGINT raises KeyboardInterrupt, which in the middle of
    a device call would lose the training state. A second one is raised as ever. Calling it returns
    whether the first has come.
    """

    def __init__(self) -> None:
        self._come = False
        self._before: Any = None

    @staticmethod
    def is_of_use() -> bool:
        """Return whether SIGINT would raise KeyboardInterrupt here."""
        is_main = threading.current_thread() is threading.main_thread()
        return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def __call__(self) -> bool:
        return self._come

    def on_start(self, event: object) -> None:
        self._before = signal.signal(signal.SIGINT, self._take)

    def on_end(self, event: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: Any) -> None:
        if self._come:
            raise KeyboardInterrupt
        self._come = True
