"""The result that a run has saved, and its learning curve with it; read without jax."""

import contextlib

from charrnn_core.evaluation.report import Evaluation
from charrnn_core.runs.curves import Curve
from charrnn_core.runs.history import History


def saved_evaluation(history: History) -> Evaluation | None:
    """Return the result of a training; None if it has none that can be read."""
    if history.evaluation is not None:
        # Another program may have written it.
        with contextlib.suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
            return Evaluation.read(history.evaluation, history.course)
    return None


def learning_curve(history: History, name: str = "", look: int = 0) -> Curve:
    """Return what is drawn of a run; see `Curve`."""
    found = saved_evaluation(history)
    if found is None:
        return Curve(course=history.course, name=name, look=look, unit=history.unit)
    is_whole = (history.evaluation or {}).get("reason") != "interrupted"
    return found.curve(name, look, is_whole=is_whole)
