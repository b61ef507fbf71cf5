"""``charrnn run`` and ``resume`` by many processes: the same command, started once for each.

What these functions call ``processes`` are the arguments of `charrnn_core.training.joining.Joining`
that were given.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from charrnn_core.console import program
from charrnn_core.console.program import command
from charrnn_core.errors import RunCompleteError
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from charrnn_core.terminal import to_stderr
from charrnn_train.report import report


def run(
    processes: dict[str, Any],
    settings: RunConfig,
    open_run: Callable[[], contextlib.AbstractContextManager[Any]],
    registry: Registry,
    from_first_update: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Train a model with other processes, of which the first leads.

    It opens the run's directory, which an earlier attempt may have begun.
    """
    from charrnn_core.runs.attempt import new_budget

    with _opened(processes, open_run, debug) as (together, writer):
        from charrnn_core.training import train
        from charrnn_core.training.resuming import Changes

        if together.of_leader(float(together.leads and writer.config is None)):
            budget = new_budget(writer, settings) if together.leads else {}
            context, changes = _context(together, registry), Changes(budget, quiet=quiet)
            try:
                _report(together, train.continue_training(writer, context, changes), quiet)
            except RunCompleteError as error:
                context.note(f"note: {error}")
            return
        context = _context(together, registry, from_first_update=from_first_update)
        config = writer.config or settings.resolve(registry)
        _report(together, train.train_from_the_start(config, writer, context), quiet)


def resume(
    processes: dict[str, Any], run: Path, changes: dict[str, Any], quiet: bool, debug: bool
) -> None:
    """Resume a run with other processes; only the first needs its directory."""
    from charrnn_core.runs.writer import RunWriter

    def opened() -> contextlib.AbstractContextManager[RunWriter]:
        return RunWriter.resuming(run, to_stderr)

    with _opened(processes, opened, debug) as (together, writer):
        from charrnn_core.training import train
        from charrnn_core.training.resuming import Changes

        context = _context(together, Registry.installed())
        _report(together, train.continue_training(writer, context, Changes(**changes)), quiet)


@contextlib.contextmanager
def _opened(
    processes: dict[str, Any],
    open_run: Callable[[], contextlib.AbstractContextManager[Any]],
    debug: bool,
) -> Iterator[tuple[Any, Any]]:
    """Join the other processes; the leader opens the run's directory, the others know its path."""
    from charrnn_core.runs.compiled import keep_programs
    from charrnn_core.runs.writer import RunWriter
    from charrnn_core.training.joining import Joining
    from charrnn_core.training.together import joined

    with joined(Joining(**processes), debug) as together, contextlib.ExitStack() as stack:
        keep_programs()
        writer = stack.enter_context(open_run()) if together.leads else None
        together.share(None if writer is None else writer.shards)
        path = together.told(None if writer is None else str(writer.path).encode()).decode()
        together.remedy = f"to go on, use in all of them: {command('resume', Path(path))}"
        yield together, RunWriter(Path(path)) if writer is None else writer


def _context(together: Any, registry: Registry, **more: Any) -> Any:
    from charrnn_core.training.context import TrainingContext

    def nothing(line: str) -> None:
        del line

    return TrainingContext(
        registry=registry,
        started=together.of_leader(program.STARTED),
        stop=together.interrupt,
        note=to_stderr if together.leads else nothing,
        processes=together,
        **more,
    )


def _report(together: Any, trained: Any, quiet: bool) -> None:
    """Print the result, where it is known, and exit as a shell expects after a signal."""
    if trained is not None:
        report(trained, quiet)
    if together.exit_code:
        sys.exit(together.exit_code)
