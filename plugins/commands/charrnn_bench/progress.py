"""How far a benchmark is: a bar over all trainings on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn_core.terminal import outlet, printable


class Display:
    """Shows on standard error how far all trainings together are, and how long they will take.

    Arguments:
        total: how many there are.
        done: how many of them were made before.
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

    def at(self, title: str, share: float) -> None:
        """So much of the training of this title is done."""
        done = self._ended + share
        line = f"{self._ended + 1} of {self._total}  {title}{self._left(done)}"
        self._bar.update(self._task, completed=done, description=line)

    def ended(self, line: str) -> None:
        """One more training has ended; the line says how."""
        self._ended += 1
        self.say(f"[{self._ended} of {self._total}] {line}{self._left(self._ended)}")

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self._console.print(Text(printable(line)))

    def _left(self, done: float) -> str:
        """How long the rest will take, if it goes on as it did since this program was started."""
        if done <= self._before or done >= self._total:
            return ""
        seconds = time.monotonic() - self._began
        left = seconds / (done - self._before) * (self._total - done)
        return f"  {timedelta(seconds=round(left))} left"
