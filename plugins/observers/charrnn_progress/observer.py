"""Progress: a bar on a terminal, plain lines elsewhere, and samples during training."""

import math
import time

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from charrnn_core.events import Ended, Incident, Sampled, Started, Stepped
from charrnn_core.terminal import number, outlet, printable
from charrnn_progress.line import Line, clock
from charrnn_progress.notebook import NotebookProgress, in_notebook
from charrnn_progress.words import introduction, name_of_training_loss, sample_heading

_SECONDS_BETWEEN_LINES = 10.0
_INDENT = 4


def progress(options: object) -> object:
    """Return the observer that shows progress where this process runs."""
    return NotebookProgress() if in_notebook() else ProgressObserver(options)


class ProgressObserver:
    """An observer that shows the progress of a training, its loss, its speed and the time left.

    On a terminal this is a bar; elsewhere a plain line at every evaluation and at least every ten
    seconds. Above each sample are the update after which it was written and the loss at that time.
    """

    def __init__(self, options: object) -> None:
        del options  # there are none
        self.console = Console(file=outlet(), highlight=False)
        # A terminal that cannot move its cursor cannot show a bar.
        self._moves = self.console.is_terminal and not self.console.is_dumb_terminal
        self._line = Line()
        self._bar = Live(
            self._line,
            console=self.console,
            transient=True,
            redirect_stderr=outlet(err=True).isatty(),  # else the user has redirected it
        )
        self._train = self._held_out = math.nan
        self._said = time.monotonic()

    def on_start(self, event: Started) -> None:
        self._line.train = name_of_training_loss(event)
        for line in introduction(event):
            self._say(line)
        if self._moves:
            self._bar.start()

    def on_step(self, event: Stepped) -> None:
        fresh = event.held_out_nats_per_char
        self._train = event.train_nats_per_char
        self._held_out = self._held_out if fresh is None else fresh
        self._line.show(event, self._held_out)
        late = time.monotonic() - self._said > _SECONDS_BETWEEN_LINES
        if not self._moves and (fresh is not None or late):
            held_out = ""
            if not math.isnan(self._held_out):
                bits = self._held_out / math.log(2)
                held_out = f"  held-out {number(self._held_out, 3)} nats ({number(bits, 3)} bits)"
            self._say(
                f"{event.progress:4.0%}  epoch {event.epoch:.1f}  "
                f"{self._line.train} {number(self._train, 3)} nats{held_out}  "
                f"{event.characters_per_second:,.0f} chars/s  {clock(event.seconds_left)} left"
            )

    def on_incident(self, event: Incident) -> None:
        self._say(event.line())

    def on_sample(self, event: Sampled) -> None:
        heading = sample_heading(event, self._held_out, self._train)
        lines = printable(event.prompt + event.text).splitlines()
        if self.console.is_terminal:
            self._show(Rule(Text(heading), align="left", style="dim"))
            self._show(Padding(Text("\n".join(lines)), (0, 0, 0, _INDENT), expand=False))
        else:
            self._say("\n".join([f"{heading}:", *(" " * _INDENT + line for line in lines)]))

    def on_end(self, event: Ended) -> None:
        self._bar.stop()

    def _say(self, line: str) -> None:
        self._show(Text(printable(line)))

    def _show(self, what: RenderableType) -> None:
        """Print something permanent; lines wrap only on a terminal, between words."""
        self._said = time.monotonic()
        self.console.print(what, soft_wrap=not self.console.is_terminal)
