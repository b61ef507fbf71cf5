"""A run as the report shows it: its name, its colour, its result."""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.saved import learning_curve, saved_evaluation
from charrnn_core.page.curves import swatch
from charrnn_core.page.frame import escaped
from charrnn_core.page.table import Markup
from charrnn_core.runs.curves import Curve
from charrnn_core.runs.history import History
from charrnn_core.terminal import printable


@dataclass(frozen=True)
class Shown:
    """A run as the report shows it.

    Arguments:
        history: what is known of it.
        name: its name, which no other has.
        look: the number of its colour and dashes.
        evaluation: its result; None if it has none that can be read.
        curve: what is drawn of it.
    """

    history: History
    name: str
    look: int
    evaluation: Evaluation | None
    curve: Curve

    @property
    def heading(self) -> Markup:
        """Its name, after a piece of its line."""
        return Markup(f"{swatch(self.look)} {escaped(self.name)}")


def shown(histories: Sequence[History]) -> list[Shown]:
    """Give every run a name and a colour, and read its result."""
    paths = [history.overview.path for history in histories]
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = list(map(str, paths))
    return [
        Shown(
            history,
            name,
            look,
            saved_evaluation(history),
            learning_curve(history, name, look),
        )
        for look, (history, name) in enumerate(zip(histories, map(printable, names), strict=True))
    ]
