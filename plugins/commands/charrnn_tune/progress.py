"""The progress of a tuning: a bar over the whole on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn_core.terminal import outlet, printable


class Display:
    """A display on standard error of how much of a tuning is done, and the time left.

    Arguments:
        units: how many units all of it takes.
    """

    def __init__(self, units: float) -> None:
        self._units, self._before = units, 0.0
        self._began = time.monotonic()
        self._console = Console(file=outlet(err=True), highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=units)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def at(self, line: str, done: float, is_new: bool = True) -> None:
        """Print a line about a training that has ended.

        Arguments:
            line: the line.
            done: how many units are done.
            is_new: whether that training was made now, not before an interruption.
        """
        if not is_new:
            self._before = done
        self._bar.update(self._task, completed=done, description=self._left(done))
        if is_new:
            self._console.print(Text(printable(f"{done / self._units:4.0%}  {line}")))

    def _left(self, done: float) -> str:
        if done <= self._before or done >= self._units:
            return ""
        seconds = time.monotonic() - self._began
        left = seconds / (done - self._before) * (self._units - done)
        return f"{timedelta(seconds=round(left))} left"
