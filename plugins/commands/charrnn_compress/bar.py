"""A bar that shows how far a file has been coded; only on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from charrnn_core.terminal import outlet


@contextlib.contextmanager
def shown(what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar during the block; gives what takes the share that is done."""
    console = Console(file=outlet(err=True))
    if not console.is_terminal:
        yield lambda share: None
        return
    percentage = TextColumn("{task.percentage:3.0f}%")
    columns = (TextColumn("{task.description}"), BarColumn(), percentage, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)
