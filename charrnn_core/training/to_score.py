"""The model that a command scores texts with, of one process or of many. Imports nothing heavy."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn_core.devices import use_every_core

if TYPE_CHECKING:
    from charrnn_core.runs.model import Model


@contextlib.contextmanager
def model_to_score(
    run: Path,
    processes: Mapping[str, Any],
    streams: int | None = None,
    *,
    last: bool = False,
    debug: bool = False,
) -> Iterator["Model | None"]:
    """Load a run, to score texts with on every core, or on those of all processes.

    Where another process leads, the block begins when that has scored all, with None.

    Arguments:
        run: the run directory or file; of many processes only the leader needs it.
        processes: arguments of `charrnn_core.training.joining.Joining`; none for this process.
        streams: how many stretches of a text to read in parallel.
        last: load the last model instead of the best.
        debug: whether an error in one of many processes shows its traceback.
    """
    if not processes:
        from charrnn_core.runs.opening import check_run

        check_run(run)
    use_every_core()
    if not processes:
        from charrnn_core.runs.model import load

        yield load(run, last=last)
        return
    from charrnn_core.training.joining import Joining
    from charrnn_core.training.scoring import model_of_all
    from charrnn_core.training.together import joined

    with joined(Joining(**processes), debug) as together:
        with model_of_all(together, run, streams, last) as model:
            yield model
