"""The model that a training ends with: the better of the best and the last, on all of the text."""

import dataclasses

from charrnn_core.cell import Params
from charrnn_core.evaluation.row import Row
from charrnn_core.runs.chosen import Chosen
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.training.held_out import HeldOut


def chosen(loop: LoopState) -> Chosen:
    """Say which of its models a training uses."""
    step = loop.step if loop.best_step is None else loop.best_step
    return Chosen(step, last=loop.step, best=loop.best_step, evaluations=loop.evaluations)


def glimpse(held_out: HeldOut, loop: LoopState) -> Row:
    """Return the best model's loss on the excerpt, with an interval if it was measured last."""
    latest = held_out.latest("model")
    if latest is not None and (loop.best is None or loop.stale == 0):
        return latest
    nats = loop.held_out if loop.best is None else loop.best
    assert nats is not None  # something has been evaluated
    return Row(name="model", nats_per_char=nats)


def better(
    held_out: HeldOut, loop: LoopState, last: Params, best: Params | None
) -> tuple[Row, Row | None]:
    """Score all of the held-out text with the last parameters and with the best on the excerpt.

    Arguments:
        held_out: the text.
        loop: the state of the loop.
        last: the last parameters.
        best: the best ones; None if the last ones are the best, or the only ones.

    Returns:
        The row of the better ones, and that of the last ones if they are worse.
    """
    row = held_out.row("model", last)
    if best is None:
        return row, None
    model = held_out.row("model", best)
    if row.nats_per_char < model.nats_per_char:  # a comparison with NaN is false
        return row, None
    return model, dataclasses.replace(row, name=f"last, update {loop.step:,}")
