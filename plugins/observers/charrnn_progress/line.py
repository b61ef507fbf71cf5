"""The progress line of a training, which drops its less important parts if space is short."""

import math
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn_core.events import Stepped
from charrnn_core.terminal import number

_BETWEEN = 2
_LEAST_BAR, _MOST_BAR = 6, 40


@dataclass(frozen=True)
class Part:
    """A part of the line.

    Arguments:
        text: the text.
        rank: how dispensable it is; the highest is dropped first.
        style: rich's style.
    """

    text: str
    rank: int
    style: str = ""


_BAR_RANK = 4


class Line:
    """A progress bar with text beside it, on one line of any width; `train` names that loss."""

    def __init__(self) -> None:
        self.progress: float | None = None
        self.train = "train"
        self.parts = [Part("compiling", 0)]

    def show(self, event: Stepped, held_out: float) -> None:
        """Show the state of a training; `held_out` is its last held-out loss in nats, or NaN."""
        self.progress = event.progress
        parts = [
            Part(f"{event.progress:4.0%}", 0, "progress.percentage"),
            Part(f"epoch {event.epoch:.1f}", 6),
            Part(f"{self.train} {number(event.train_nats_per_char, 3)}", 3),
            Part(f"held-out {number(held_out, 3)} nats", 1, "bold"),
            Part(f"{number(held_out / math.log(2), 3)} bits", 7),
            Part(f"{_speed(event.characters_per_second)} chars/s", 5),
            Part(f"{clock(event.seconds_left)} left", 2, "progress.remaining"),
        ]
        if math.isnan(held_out):
            parts[2:5] = [Part(f"{self.train} {number(event.train_nats_per_char, 3)} nats", 3)]
        self.parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts, bar = fitted(self.parts, options.max_width)
        grid = Table.grid(padding=(0, _BETWEEN, 0, 0))
        row = [Text(part.text, part.style, no_wrap=True, overflow="crop") for part in parts]
        if not bar:
            grid.add_row(*row)
        else:
            done, pulse = self.progress or 0.0, self.progress is None
            grid.add_row(ProgressBar(1.0, done, width=bar, pulse=pulse), *row)
        yield grid


def fitted(parts: list[Part], width: int) -> tuple[list[Part], int]:
    """Return the parts of a line that fit into `width` columns, and the width left for the bar.

    >>> parts = [Part("50%", 0), Part("epoch 3.4", 6), Part("0:50 left", 2)]
    >>> [([part.text for part in kept], bar) for kept, bar in (fitted(parts, n) for n in (40, 24))]
    [(['50%', 'epoch 3.4', '0:50 left'], 13), (['50%', '0:50 left'], 8)]
    """
    bar, kept = Part(" " * _LEAST_BAR, _BAR_RANK), sorted(parts, key=lambda part: part.rank)
    kept = sorted([*kept, bar], key=lambda part: part.rank)
    while len(kept) > 1 and _length(kept) > width:
        kept.pop()
    room = width - _length(kept) + _LEAST_BAR if bar in kept else 0
    return [part for part in parts if part in kept], min(room, _MOST_BAR)


def _length(parts: list[Part]) -> int:
    return sum(len(part.text) + _BETWEEN for part in parts) - _BETWEEN


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:,.2f}M"


def clock(seconds: float) -> str:
    """Format a remaining time like a clock.

    >>> clock(50), clock(3725), clock(math.inf)
    ('0:50', '1:02:05', '?')
    """
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
