"""The verbs of training: `train` from a configuration, `resume` from a run directory."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from charrnn_core.errors import UnknownNameError, expect
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.public import public
from charrnn_core.registry.distribution import OF_A_PROGRAM
from charrnn_core.registry.given import providers_of
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.compiled import keep_programs
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.environment import note_environment
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import alphabet_of, read_manifest
from charrnn_core.runs.model import read_config
from charrnn_core.runs.of_text import OfText
from charrnn_core.runs.opening import check_cell
from charrnn_core.runs.replacing import replacing
from charrnn_core.runs.settings import CHANGES
from charrnn_core.runs.writer import RunWriter
from charrnn_core.terminal import to_stderr
from charrnn_core.text.kept import keep_text
from charrnn_core.text.load import read_again
from charrnn_core.training.agreement import config_of_leader, demand_same
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.fitting import note_fewer_devices
from charrnn_core.training.loop import UPDATES_PER_CALL, room_of_a_call
from charrnn_core.training.part import Part
from charrnn_core.training.resuming import (
    Changes,
    check_plugins,
    check_something_is_left,
    check_text,
    length_in_words,
    still_true,
)
from charrnn_core.training.run import TrainingRun
from charrnn_core.training.setup import TrainingSetup, prepare
from charrnn_core.training.starting_point import StartingPoint
from charrnn_core.training.state import TrainState
from charrnn_core.training.trained import Trained


@public
def train(
    config: RunConfig | None = None,
    *,
    out: str | Path | RunWriter | None = None,
    observers: Iterable[object] = (),
    registry: Registry | None = None,
    started: float | None = None,
    stop: Callable[[], bool] | None = None,
    note: Callable[[str], None] = to_stderr,
    updates_per_call: int | None = None,
    from_first_update: bool = False,
    plugins: Iterable[Any] = (),
    overwrite: bool = False,
) -> Trained:
    """Train a model and save it in a run directory.

    Arguments:
        config: what to train; by default an LSTM on Python's own documentation.
        out: the run directory; by default a new one under ``runs/``. A `RunWriter` is a directory
            that the caller has claimed, with its configuration.
        observers: objects with any of the methods ``on_start`` ... ``on_end``, besides those that
            the configuration names.
        registry: the plugins to use; by default those installed.
        started: the reading of ``time.monotonic()`` from which ``minutes`` count; now if None.
        stop: called between device calls; if it returns True, training saves and ends. By default
            an interrupt, such as Ctrl-C or a notebook's stop button, does that.
        note: takes lines for the user.
        updates_per_call: the most updates between two calls of `stop`; it does not affect what is
            learned.
        from_first_update: count minutes from the first update instead.
        plugins: cells (or their classes), losses, samplers, optimizers and descriptors of this
            program, to name in the configuration: ``RunConfig(cell="my-cell:32")`` for a class
            ``MyCell``. A run that uses one needs it again.
        overwrite: replace a run in `out`; it is lost once the new one has a checkpoint.

    Raises:
        CharRNNError: something is wrong, as the subclass and message say; all input is checked
            before training starts.

    >>> import tempfile
    >>> config = RunConfig(cell="elman:8", characters=2048, batch=4, window=16, observers=())
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(config, out=f"{out}/run")
    >>> trained.reason, trained.held_out.split
    ('finished', 'last-10%')
    """
    expect("config", config, RunConfig | None, "a RunConfig, such as RunConfig(cell='elman:64')")
    expect("out", out, str | Path | RunWriter | None, "a run directory")
    expect("observers", observers, Iterable, "a list of observers")
    expect("plugins", plugins, Iterable, "a list of what the program offers")
    keep_programs()
    config = config or RunConfig()
    context = TrainingContext.of(
        registry,
        observers,
        started,
        stop=stop,
        note=note,
        updates_per_call=updates_per_call,
        from_first_update=from_first_update,
        plugins=[*providers_of(plugins), *config.given()],
    )
    with contextlib.ExitStack() as stack:
        if not isinstance(out, RunWriter):
            path = None if out is None else Path(out)
            if overwrite and path is not None:
                config.resolve(context.registry)  # report a wrong name before anything is moved
                stack.enter_context(replacing(path))
            out = stack.enter_context(RunWriter.claim(config, path, context.registry))
        resolved = out.config or config.resolve(context.registry)
        _note_what_is_needed_again(resolved, context)
        note_fewer_devices(resolved, note)
        return alone(train_from_the_start(resolved, out, context))


@public
def resume(
    run: str | Path | RunWriter,
    *,
    budget: dict[str, Any] | None = None,
    allow: Collection[str] = (),
    source: Ref | str | None = None,
    quiet: bool = False,
    watch: Iterable[str] = (),
    observers: Iterable[object] = (),
    registry: Registry | None = None,
    started: float | None = None,
    stop: Callable[[], bool] | None = None,
    note: Callable[[str], None] = to_stderr,
    updates_per_call: int | None = None,
    plugins: Iterable[Any] = (),
) -> Trained:
    """Continue a run as if it had never stopped: the same bits, on the same kind of machine.

    A run that ended before its first checkpoint starts from the beginning.

    Arguments:
        run: the run directory; a `RunWriter` is a directory that the caller has opened.
        budget: the budget of the whole run, such as ``{"epochs": 20}``; unchanged if None.
        allow: what may have changed since: any of ``text``, ``config``, ``plugins``, ``alphabet``
            and ``shards``.
        source: where the text is now; unchanged if None.
        quiet: whether to leave out the progress display from here on.
        watch: specs of additional observers from here on.
        observers, registry, started, stop, note, updates_per_call: as for `train`.
        plugins: the objects that the run was trained with, such as the class of its cell.

    Raises:
        RunDirectoryError: there is no such run, its checkpoints are missing, or another process is
            writing it.
        CheckpointError: no checkpoint is good.
        ResumeError: something has changed that must not, or nothing is left to do.

    Example::

        resume("runs/elman-python-docs-1", budget={"epochs": 20})
    """
    expect("run", run, str | Path | RunWriter, "a run directory")
    for name in allow:
        if name not in CHANGES:
            raise UnknownNameError("change to allow", name, CHANGES)
    keep_programs()
    context = TrainingContext.of(
        registry,
        observers,
        started,
        stop=stop,
        note=note,
        updates_per_call=updates_per_call,
        plugins=providers_of(plugins),
    )
    changes = Changes(budget or {}, allow, source, quiet, watch)
    with contextlib.ExitStack() as stack:
        if not isinstance(run, RunWriter):
            run = stack.enter_context(RunWriter.resuming(Path(run), note))
        return alone(continue_training(run, context, changes))


def alone(trained: Trained | None) -> Trained:
    """Return what is never missing where a process trains by itself."""
    assert trained is not None
    return trained


def continue_training(run: RunWriter, context: TrainingContext, changes: Changes) -> Trained | None:
    """Continue a run that is open, see `resume`; None where another process leads."""
    processes = context.processes
    if processes.of_leader(float(run.newest is None)):
        context.note(f"note: {run.path} ended before its first checkpoint; starting it again")
        config = config_of_leader(
            processes, lambda: changes.before_the_first_update(run, context.registry)
        )
        return train_from_the_start(config, run, context)
    return _train_from_a_checkpoint(run.newest, run, context, changes)


def train_from_the_start(
    config: RunConfig, writer: RunWriter, context: TrainingContext
) -> Trained | None:
    """Train in a claimed directory, from random or a run's parameters; None if another leads."""
    demand_same(config, context)
    if config.init_from is None:
        setup = prepare(config, context)
        _compile_ahead(setup, context)
        state = setup.trainer.init()
    else:
        origin = StartingPoint.read(config.init_from, context.note)
        check_cell(origin.name, origin.cell, config.cell.table())  # sooner than the text is read
        setup = prepare(
            origin.fitting(config),
            context,
            alphabet=origin.alphabet,
            grows=config.unknown != "skip",
            of_text=origin.of_text,
            unknown=config.unknown,
        )
        for line in origin.lines(setup):
            context.note(line)
        _compile_ahead(setup, context)
        state = setup.trainer.fresh(origin.params(setup))
    return _trained(setup, writer, context, state, LoopState())


def _trained(
    setup: TrainingSetup,
    writer: RunWriter,
    context: TrainingContext,
    state: TrainState,
    loop: LoopState,
    remembered: Mapping[str, Any] | None = None,
) -> Trained | None:
    """Train, or take part in what another process leads: then return None."""
    context.processes.meet(setup.config.shards or 1)
    if not context.processes.leads:
        Part(setup, context).take_part(state, loop)
        return None
    keep_text(writer.path, setup.corpus, context.note)
    writer.write_config(setup.config, context.registry)
    return TrainingRun(setup, writer, context).train(state, loop, remembered)


def _note_what_is_needed_again(config: RunConfig, context: TrainingContext) -> None:
    records = config.records(context.registry)
    names = [r["entry_point"] for r in records if r["distribution"] == OF_A_PROGRAM]
    if names:
        again = ", ".join(dict.fromkeys(names))
        context.note(
            f"note: this run needs {again} again: load(run, plugins=[{again}]); on the command "
            "line, in a file: --plugin FILE"
        )


def _compile_ahead(setup: TrainingSetup, context: TrainingContext) -> None:
    """Begin to compile the update, which takes longest, while other things are made."""
    most, config = context.updates_per_call or UPDATES_PER_CALL, setup.config
    setup.trainer.compile_ahead(room_of_a_call(most, config.batch * config.window), config.window)


def _train_from_a_checkpoint(
    newest: tuple[Path, Checkpoint] | None,
    writer: RunWriter,
    context: TrainingContext,
    changes: Changes,
) -> Trained | None:
    """Continue training from a checkpoint; return None where another process leads."""
    processes = context.processes
    path, checkpoint = newest[0] if newest else writer.path, processes.checkpoint(newest)
    table, note = read_manifest(path, checkpoint.table), context.note
    loop, alphabet = LoopState.read(table["loop"]), alphabet_of(table)
    context = context.resumed(loop.seconds, table["plugins"])
    for record in table["plugins"]:
        if record["distribution"] == OF_A_PROGRAM:  # say that it has to be given again, and how
            context.registry.require(record)
    saved = read_config(path, table)
    config = config_of_leader(processes, lambda: changes.of_the_rest(writer, saved))
    config = config.resolve(context.registry)
    demand_same(config, context)
    check_plugins(table["plugins"], config.records(context.registry), changes.allow)
    note_environment(table["environment"], note)
    unknown = config.unknown if config.init_from else "error"
    setup = prepare(
        config,
        context,
        alphabet=alphabet,
        of_text=still_true(OfText.saved(checkpoint, len(alphabet)), saved, config, changes),
        unknown="skip" if "alphabet" in changes.allow else unknown,
        check=lambda now, found: check_text(table["corpus"], alphabet, now, found, changes.allow),
        read=partial(
            read_again,
            record=table["corpus"],
            directory=None if changes.source or not processes.leads else writer.path,
        ),
        passed=processes.leads and changes.source is None and writer.kept_file.exists(),
    )
    then, now = length_in_words(saved), length_in_words(config)
    check_something_is_left(writer, setup, loop, bool(changes.budget) or now != then)
    if now != then:
        note(f"note: the budget of the whole run is now {now}, was {then}; the schedule adapts")
    if loop.status == "stopped early":
        loop.forget_patience()
    _compile_ahead(setup, context)
    state = setup.trainer.restore(checkpoint.arrays, note)
    return _trained(setup, writer, context, state, loop, table["observers"])
