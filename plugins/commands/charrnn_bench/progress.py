"""The progress of a benchmark: a bar over all trainings on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn_core.terminal import outlet, printable


class Display:
    """A display on standard error of the progress of all trainings, and the time left.

    Arguments:
        total: the number of trainings.
        done: the number of them that are done already.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._before, self._ended = total, done, done
        self._began = time.monotonic()
        self._console = Console(file=outlet(err=True), highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, completed=done)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def at(self, shares: Mapping[str, float]) -> None:
        """Show the trainings that run, by title, and which share of each is done, 0 to 1."""
        done = self._ended + sum(shares.values())
        line = f"{self._ended + 1} of {self._total}  {''.join(shares)}"
        if len(shares) > 1:
            running = "; ".join(f"{title} ({share:.0%})" for title, share in shares.items())
            line = f"{self._ended} of {self._total} done  {running}"
        self._bar.update(self._task, completed=done, description=line + self._left(done))

    def ended(self, line: str) -> None:
        """Count a training that has ended, and print a line about it."""
        self._ended += 1
        self.say(f"[{self._ended} of {self._total}] {line}{self._left(self._ended)}")

    def say(self, line: str) -> None:
        """Print a permanent line."""
        self._console.print(Text(printable(line)))

    def _left(self, done: float) -> str:
        """Return the time left, estimated from the speed since this program was started."""
        if done <= self._before or done >= self._total:
            return ""
        seconds = time.monotonic() - self._began
        left = seconds / (done - self._before) * (self._total - done)
        return f"  {timedelta(seconds=round(left))} left"
