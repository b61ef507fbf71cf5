"""Progress in a notebook: one output with bar, curve and sample, which is updated in place."""

import importlib
import math
import sys
import time
from typing import Any

from charrnn_core.events import Ended, Incident, Sampled, Started, Stepped
from charrnn_core.page.curves import svg
from charrnn_core.page.frame import escaped
from charrnn_core.runs.course import Course
from charrnn_core.runs.curves import Curve, chart
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.metrics import read_course
from charrnn_core.terminal import printable
from charrnn_progress.line import Line
from charrnn_progress.words import introduction, name_of_training_loss, sample_heading

_SECONDS_BETWEEN = 0.5
_SIZE = 640, 280
_MOST_INCIDENTS = 5


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; IPython is not imported for that."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class NotebookProgress:
    """An observer that shows the progress of a training in one output of a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._introduction: list[str] = []
        self._incidents: list[str] = []
        self._line, self._course = Line(), Course()
        self._unit = "character"
        self._sample = self._heading = ""
        self._train = self._held_out = math.nan
        self._shown = 0.0

    def on_start(self, event: Started) -> None:
        file = RunDirectory(event.directory).metrics_file
        self._course = read_course(file, {"step": event.step}, event.symbols)
        self._unit = "byte" if event.config["alphabet"] == "bytes" else "character"
        self._introduction = introduction(event)
        self._line.train = name_of_training_loss(event)
        self._show()

    def on_step(self, event: Stepped) -> None:
        fresh = event.held_out_nats_per_char
        self._train = event.train_nats_per_char
        self._held_out = self._held_out if fresh is None else fresh
        self._course.forget_after(event.step - 1)  # it may have been rolled back
        self._course.add(event.table())
        self._line.show(event, self._held_out)
        if fresh is not None or time.monotonic() - self._shown > _SECONDS_BETWEEN:
            self._show()

    def on_incident(self, event: Incident) -> None:
        self._incidents = [*self._incidents, event.line()][-_MOST_INCIDENTS:]

    def on_sample(self, event: Sampled) -> None:
        self._heading = sample_heading(event, self._held_out, self._train)
        self._sample = event.prompt + event.text
        self._show()

    def on_end(self, event: Ended) -> None:
        if event.reason == "finished":
            self._line.progress = 1.0  # a budget of minutes leaves time for the end
        self._incidents.append(f"{event.reason} after {event.seconds:.0f} s")
        self._show()

    def _show(self) -> None:
        """Show the present state: a new output the first time, in its place later."""
        self._shown = time.monotonic()
        plain = "  ".join(part.text.strip() for part in self._line.parts)
        content = {"text/html": self._html(plain), "text/plain": printable(plain)}
        if self._handle is None:
            show = importlib.import_module("IPython.display").display
            self._handle = show(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def _html(self, plain: str) -> str:
        drawn = chart([Curve(course=self._course, unit=self._unit)])
        lines = [*self._introduction, *self._incidents]
        sample = ""
        if self._heading:
            text = escaped(printable(self._sample))
            sample = f"<p>{escaped(self._heading)}</p><pre>{text}</pre>"
        return (
            f"<div>{''.join(f'<div>{escaped(printable(line))}</div>' for line in lines)}"
            f'<progress value="{self._line.progress or 0.0:.3f}" max="1" style="width:100%">'
            f"</progress><div>{escaped(printable(plain))}</div>"
            f"{'' if drawn is None else svg(drawn, *_SIZE)}{sample}</div>"
        )
