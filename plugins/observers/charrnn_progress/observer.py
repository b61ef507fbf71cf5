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

_SECONDS_BETWEEN_LINES = 10.0
_INDENT = 4


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
        cell, source = event.config["cell"]["use"], event.config["source"]["use"]
        unit = "bytes" if event.config["alphabet"] == "bytes" else "characters"
        self._say(
            f"{cell} with {event.parameters:,} parameters on {source}: {event.symbols} symbols, "
            f"{event.train_characters:,} {unit} to learn from, "
            f"{event.held_out_characters:,} held out ({event.config['split']})"
        )
        if event.step:
            self._say(f"resuming from update {event.step:,}")
        if event.unroll:
            self._say(f"unroll: {event.unroll}")
        if 0 < event.scored_characters < event.held_out_characters:
            self._say(
                f"held-out losses are of {event.scored_characters:,} evenly spread {unit} until "
                "the end, and then of all"
            )
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
                f"train {number(self._train, 3)} nats{held_out}  "
                f"{event.characters_per_second:,.0f} chars/s  {clock(event.seconds_left)} left"
            )

    def on_incident(self, event: Incident) -> None:
        self._say(event.line())

    def on_sample(self, event: Sampled) -> None:
        losses = (("held-out", self._held_out), ("train", self._train))
        known = [
            f", {name} {number(nats, 3)} nats" for name, nats in losses if not math.isnan(nats)
        ]
        heading = f"update {event.step:,}{''.join(known[:1])}"
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
