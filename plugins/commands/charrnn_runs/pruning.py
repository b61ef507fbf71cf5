"""Which runs ``charrnn runs prune`` removes."""

import time
from dataclasses import dataclass

from charrnn_core.runs.overview import DAMAGED, EMPTY, INTERRUPTED, RUNNING, Overview

_DAY = 86_400


@dataclass(frozen=True)
class Conditions:
    """Conditions, of which one is enough; a run that is being trained meets none.

    Arguments:
        interrupted: it was interrupted.
        empty: it has no checkpoint, or none that can be read.
        worse_than: it has more bits per character.
        older_than: nothing was written to it for so many days.
    """

    interrupted: bool = False
    empty: bool = False
    worse_than: float | None = None
    older_than: float | None = None

    def hold_for(self, run: Overview) -> bool:
        """Return whether one of them holds for a run."""
        if run.state == RUNNING:
            return False
        age, bits = time.time() - run.changed, run.bits
        return (
            (self.older_than is not None and age > self.older_than * _DAY)
            or (self.worse_than is not None and bits is not None and bits > self.worse_than)
            or (self.interrupted and run.state == INTERRUPTED)
            or (self.empty and run.state in (EMPTY, DAMAGED))
        )
