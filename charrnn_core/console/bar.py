"""The progress of a long command: a bar on a terminal, and lines that stay anywhere."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn_core.terminal import outlet, printable


class Bar:
    """A bar on standard error, with the time left, while its ``with`` block runs.

    Arguments:
        total: how much there is to do, in any unit.
        done: how much of it was done before.
    """

    def __init__(self, total: float, done: float = 0.0) -> None:
        self.total, self.before = total, done
        self._began = time.monotonic()
        self._console = Console(file=outlet(err=True), highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def show(self, done: float, line: str = "") -> None:
        """Show how much is done, with a line beside the bar and the time left."""
        self._bar.update(self._task, completed=done, description=line + self.left(done))

    def say(self, line: str) -> None:
        """Print a permanent line."""
        self._console.print(Text(printable(line)))

    def left(self, done: float) -> str:
        """Return the time left, estimated from the speed since the bar was made; or nothing."""
        if done <= self.before or done >= self.total:
            return ""
        seconds = time.monotonic() - self._began
        left = seconds / (done - self.before) * (self.total - done)
        return f"  {timedelta(seconds=round(left))} left"
