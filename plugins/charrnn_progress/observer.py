"""Progress: a bar on a terminal, plain lines elsewhere, and samples while the model learns."""

import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn_core.events import Ended, Incident, Sampled, Started, Stepped
from charrnn_core.terminal import number, printable

_SECONDS_BETWEEN_LINES = 10.0


class ProgressObserver:
    """Shows how far training is, its loss, its speed and the time left.

    On a terminal that is a bar; elsewhere a plain line at every evaluation and at least every ten
    seconds.
    """

    def __init__(self, options: object) -> None:
        del options  # it has none
        self.console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.description}"),
            console=self.console,
            transient=True,
        )
        self._task = self._bar.add_task("compiling", total=1.0)
        self._held_out = math.nan
        self._said = time.monotonic()

    def on_start(self, event: Started) -> None:
        cell, source = event.config["cell"]["use"], event.config["source"]["use"]
        unit = "bytes" if event.config["alphabet"] == "bytes" else "characters"
        self._say(
            f"{cell} with {event.parameters:,} parameters on {source}: {event.symbols} symbols, "
            f"{event.train_characters:,} {unit} to learn from, "
            f"{event.held_out_characters:,} held out ({event.config['split']})"
        )
        if event.step:
            self._say(f"going on from update {event.step:,}")
        if event.unroll:
            self._say(f"unroll: {event.unroll}")
        if self.console.is_terminal:
            self._bar.start()

    def on_step(self, event: Stepped) -> None:
        fresh = event.held_out_nats_per_char
        self._held_out = self._held_out if fresh is None else fresh
        held_out = ""
        if not math.isnan(self._held_out):
            held_out = (
                f"  held-out {number(self._held_out, 3)} nats "
                f"({number(self._held_out / math.log(2), 3)} bits)"
            )
        line = (
            f"epoch {event.epoch:.1f}  train {number(event.train_nats_per_char, 3)} nats"
            f"{held_out}  {event.characters_per_second:,.0f} chars/s  "
            f"{_clock(event.seconds_left)} left"
        )
        self._bar.update(self._task, completed=event.progress, description=line)
        late = time.monotonic() - self._said > _SECONDS_BETWEEN_LINES
        if not self.console.is_terminal and (fresh is not None or late):
            self._say(f"{event.progress:4.0%}  {line}")

    def on_incident(self, event: Incident) -> None:
        self._say(event.line())

    def on_sample(self, event: Sampled) -> None:
        text = printable(event.prompt + event.text)
        self._say("\n".join(f"    {line}" for line in text.splitlines()))

    def on_end(self, event: Ended) -> None:
        self._bar.stop()

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self.console.print(Text(line))


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        if minutes >= 60
        else f"{minutes}:{seconds:02d}"
    )
