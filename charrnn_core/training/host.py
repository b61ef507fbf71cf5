"""What the training loop needs from the run it trains for."""

from pathlib import Path
from typing import Protocol

from charrnn_core.cell import Params
from charrnn_core.evaluation.row import Row
from charrnn_core.events import Incident
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.training.state import TrainState


class Host(Protocol):
    """What the loop needs from the run it trains for."""

    def evaluate(self, params: Params) -> Row | None:
        """Score an excerpt of the held-out text; None without one."""
        ...

    def seconds_to_close(self, loop: LoopState, seconds_per_character: float) -> float:
        """Estimate the time between the last update and the end, besides an evaluation.

        Arguments:
            loop: the state of the loop.
            seconds_per_character: how long training on a character takes.
        """
        ...

    def begin_updates(self) -> None:
        """Do whatever has to be done before the first update."""
        ...

    def sample(self, state: TrainState) -> str:
        """Return some text written by the model."""
        ...

    def save(self, state: TrainState, loop: LoopState) -> Path:
        """Write a checkpoint of both states, and return its path."""
        ...

    def roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        """Return both states as they were at the last evaluation."""
        ...

    def log_incident(self, incident: Incident) -> int:
        """Append to the incident log, and return its length in bytes."""
        ...

    def should_stop(self) -> bool:
        """Return whether training was asked to stop."""
        ...
