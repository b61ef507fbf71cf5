"""What stops trainings before their end: signals to this process, or that nobody waits for them."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from charrnn_core.files.atomic import is_locked, locked
from charrnn_core.terminal import to_stderr

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that stop a training, which saves before it ends."""


class Stop(Protocol):
    """What says that a training is to stop."""

    def pass_on(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop the process of a training if that is due; called several times a second."""

    @property
    def has_come(self) -> bool:
        """Whether trainings are to stop."""
        ...


class Interruption:
    """A ``with`` block that catches SIGINT, SIGTERM and SIGHUP.

    They are forwarded to the current training, which saves its progress and stops; a second one
    kills it. A signal that is ignored, as under ``nohup``, stays ignored.

    Arguments:
        insistent: let a second signal raise KeyboardInterrupt, for whoever waits for more than
            one process.
    """

    def __init__(self, insistent: bool = False) -> None:
        self.signal: int | None = None
        self._insistent = insistent
        self._unsent: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._notice)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self._insistent and self.signal is not None:
            raise KeyboardInterrupt
        self.signal = self.signal or number
        self._unsent.append(number)

    def pass_on(self, process: "subprocess.Popen[bytes]") -> None:
        """Send a process the signals that have arrived since the last call."""
        while self._unsent:
            process.send_signal(self._unsent.pop(0))
            to_stderr("stopping once the training has saved; press Ctrl-C again to stop it now")

    @property
    def has_come(self) -> bool:
        """Whether a signal has arrived."""
        return self.signal is not None


class Lifeline:
    """A lock that says to workers, on whatever machine: go on.

    Whoever waits for their results holds it. When it is let go, or its holder has died, every
    worker lets its training save and stop.

    Arguments:
        file: the file to lock, which all of them see.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed_on = False

    @contextlib.contextmanager
    def held(self) -> Iterator[contextlib.ExitStack]:
        """Hold it during the block; closing what it gives lets it go earlier.

        Raises:
            TimeoutError: workers of another process are still at work.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self._file, timeout=1.0))
            yield stack

    def pass_on(self, process: "subprocess.Popen[bytes]") -> None:
        """Let the process of a training stop, once, if nobody holds the lifeline."""
        if not self._passed_on and self.has_come:
            self._passed_on = True
            process.terminate()

    @property
    def has_come(self) -> bool:
        """Whether nobody holds the lifeline."""
        return self._passed_on or not is_locked(self._file)
