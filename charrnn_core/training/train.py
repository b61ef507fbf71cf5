"""One training, from a configuration to a run directory, or from a run directory onwards."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.cell import Params
from charrnn_core.errors import ResumeError, UnknownNameError
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.files.regular import own
from charrnn_core.randomness import random_key
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import BUDGETS, RunConfig, layered, read_toml
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.environment import note_environment
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import RESUMING, alphabet_of, read_manifest
from charrnn_core.runs.model import learnt_params, read_config
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.settings import CHANGES, moved, watched
from charrnn_core.terminal import to_stderr
from charrnn_core.text.kept import keep_text
from charrnn_core.text.load import read_again
from charrnn_core.training.changes import (
    check_config,
    check_plugins,
    check_text,
)
from charrnn_core.training.run import Sitting, Surroundings
from charrnn_core.training.setup import Experiment, prepare
from charrnn_core.training.trained import Trained


def train(
    config: RunConfig | None = None,
    *,
    out: str | Path | RunDirectory | None = None,
    observers: Iterable[Any] = (),
    registry: Registry | None = None,
    started: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = to_stderr,
    updates_per_call: int | None = None,
    from_first_update: bool = False,
) -> Trained:
    """Train a model and keep it in a run directory.

    Arguments:
        config: what to train; by default an LSTM on Python's own documentation.
        out: the run directory; by default a new one under ``runs/``. A `RunDirectory` is one that
            the caller has claimed.
        observers: objects with any of the methods ``on_start`` ... ``on_end``, besides those that
            the configuration names.
        registry: the plugins to use; by default those installed.
        started: the reading of ``time.monotonic()`` from which ``minutes`` count; now if None.
        stop: asked between device calls; when it says True, training saves and ends.
        note: takes lines the user should see.
        updates_per_call: at most so many updates between two looks at `stop`; no number changes
            what is learnt.
        from_first_update: let minutes count from the first update instead.

    Raises:
        CharRNNError: the leaf says what; nothing is trained before the input has been checked.

    >>> import tempfile
    >>> config = RunConfig(cell="elman:8", characters=2048, batch=4, window=16, observers=())
    >>> with tempfile.TemporaryDirectory() as out:
    ...     trained = train(config, out=f"{out}/run")
    >>> trained.reason, trained.held_out.split
    ('finished', 'last-10%')
    """
    around = _around(observers, registry, started, stop, note, updates_per_call)
    around = dataclasses.replace(around, from_first_update=from_first_update)
    config = (config or RunConfig()).resolve(around.registry)
    with contextlib.ExitStack() as stack:
        if not isinstance(out, RunDirectory):
            path = None if out is None else Path(out)
            out = stack.enter_context(RunDirectory.claim(config, path, around.registry))
        return _begin(config, out, around)


def _begin(config: RunConfig, directory: RunDirectory, around: Surroundings) -> Trained:
    """Train from the start in a directory that is claimed."""
    first = known = None
    if config.init_from is not None:
        path, first = open_checkpoint(Path(config.init_from), around.note)
        known = alphabet_of(read_manifest(path, first.table))
        around.note(
            f"note: a new training begins with the parameters of {config.init_from}; its "
            "optimizer, schedule and data start afresh ('charrnn resume' continues a run)"
        )
    experiment = prepare(
        config, around.registry, around.started, around.note,
        alphabet=known, unknown=config.unknown,
    )  # fmt: skip
    params = _first_params(experiment, first)
    keep_text(directory.path, experiment.corpus, around.note)
    directory.write_config(experiment.config, around.registry)
    sitting = Sitting(experiment, directory, around)
    return sitting.go(experiment.trainer.fresh(params), LoopState())


def _around(
    observers: Iterable[Any],
    registry: Registry | None,
    started: float | None,
    stop: Callable[[], bool],
    note: Callable[[str], None],
    updates_per_call: int | None,
) -> Surroundings:
    return Surroundings(
        registry=registry or Registry.installed(),
        observers=tuple(observers),
        started=time.monotonic() if started is None else started,
        stop=stop,
        note=note,
        updates_per_call=updates_per_call,
    )


def _first_params(experiment: Experiment, first: Checkpoint | None) -> Params:
    """Random parameters, or those of a checkpoint."""
    network, seed = experiment.network, experiment.config.seed
    if first is None:
        return network.init(random_key(seed, "init"))
    template = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(jnp.array, learnt_params(first, template))


def resume(
    run: str | Path | RunDirectory,
    *,
    budget: dict[str, Any] | None = None,
    allow: Collection[str] = (),
    source: Ref | str | None = None,
    quiet: bool = False,
    watch: Iterable[str] = (),
    observers: Iterable[Any] = (),
    registry: Registry | None = None,
    started: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = to_stderr,
    updates_per_call: int | None = None,
) -> Trained:
    """Go on with a run as if it had never ended: the same bits, on the same kind of machine.

    One that ended before it had learnt anything begins from the start.

    Arguments:
        run: the run directory; a `RunDirectory` is one that the caller has claimed.
        budget: how long the whole run is to be, such as ``{"epochs": 20}``; as it was if None.
        allow: what may have changed since: any of ``text``, ``config``, ``plugins``, ``alphabet``
            and ``shards``.
        source: where the text is now; as it was if None.
        quiet, watch: without progress, and with observers of these specs, from here on.
        observers, registry, started, stop, note, updates_per_call: as for `train`.

    Raises:
        RunDirectoryError: there is no such run, nothing is left of it, or somebody is writing it.
        CheckpointError: no checkpoint is good.
        ResumeError: something has changed that is not allowed to, or nothing is left to do.

    Example::

        resume("runs/elman-python-docs-1", budget={"epochs": 20})
    """
    for name in allow:
        if name not in CHANGES:
            raise UnknownNameError("change to allow", name, CHANGES)
    around = _around(observers, registry, started, stop, note, updates_per_call)
    with contextlib.ExitStack() as stack:
        directory = run if isinstance(run, RunDirectory) else RunDirectory(Path(run))
        if directory is not run:
            stack.enter_context(directory.going_on())
        if directory.is_to_begin():
            note(f"note: {directory.path} ended before it had learnt anything; it begins anew")
            values = layered(read_toml(directory.config_file, own), budget or {})
            if source is not None:
                values["source"] = moved(Ref.parse(values["source"]), source)
            config = watched(RunConfig.read(values), quiet, watch)
            return _begin(_resolved(config, directory, around.registry), directory, around)
        path, checkpoint = open_checkpoint(directory.path, note)
        table = read_manifest(path, checkpoint.table, RESUMING)
        loop, alphabet = LoopState.read(table["loop"]), alphabet_of(table)
        saved = read_config(path, table).table()
        config = _config_to_go_on(directory, saved, budget or {}, allow, source)
        config = watched(config, quiet, watch)
        around = around.since(loop.seconds, table["plugins"])
        records = config.resolve(around.registry).records(around.registry)
        check_plugins(table["plugins"], records, allow)
        note_environment(table["environment"], note)
        unknown = config.unknown if config.init_from else "error"
        experiment = prepare(
            config, around.registry, around.started, note,
            alphabet=alphabet, unknown="skip" if "alphabet" in allow else unknown,
            check=lambda now, found: check_text(table["corpus"], alphabet, now, found, allow),
            read=partial(
                read_again, record=table["corpus"], directory=None if source else directory.path
            ),
        )  # fmt: skip
        now, then = _budget(config.table()), _budget(saved)
        _check_something_is_left(directory, experiment, loop, given=bool(budget) or now != then)
        if now != then:
            note(f"note: the whole run is to last {now}, was {then}; its schedule follows")
        if loop.status == "stopped early":
            loop.stale = 0
        state = experiment.trainer.restore(checkpoint.arrays, note)
        keep_text(directory.path, experiment.corpus, note)
        directory.write_config(experiment.config, around.registry)
        return Sitting(experiment, directory, around).go(state, loop, table["observers"])


def _resolved(config: RunConfig, directory: RunDirectory, registry: Registry) -> RunConfig:
    """The configuration with every option, or an error that has the command which works."""
    try:
        return config.resolve(registry)
    except UnknownNameError as error:
        if not any(directory.plugins.glob("*.py")):
            raise
        raise ResumeError(
            f"{error}; the run has copies of single-file plugins; if you trust them, name them: "
            f"{directory.command('resume', directory.path)}"
        ) from error


def _config_to_go_on(
    directory: RunDirectory,
    then: Mapping[str, Any],
    budget: Mapping[str, Any],
    allow: Collection[str],
    source: Ref | str | None,
) -> RunConfig:
    """The checkpoint's configuration with a new budget, or the file's if it may have changed.

    Where the text is may always change: what the text is, is known by its digest.
    """
    now = then
    if os.path.lexists(directory.config_file):
        now = RunConfig.read(read_toml(directory.config_file, own)).table()
    check_config(then, now, allow)
    values = now if "config" in allow else then
    if "shards" in allow:
        values = {key: value for key, value in values.items() if key != "shards"}
    budget = budget or {key: now[key] for key in BUDGETS if key in now}
    text = Ref.parse(now["source"])
    if source is not None:
        text = moved(text, source)
    now_too = {"observers": now["observers"], "source": text}
    return RunConfig.read(layered(values, {**budget, **now_too}))


def _budget(settings: Mapping[str, Any]) -> str:
    return " or ".join(f"{settings[key]:g} {key}" for key in BUDGETS if key in settings)


def _check_something_is_left(
    directory: RunDirectory, experiment: Experiment, loop: LoopState, given: bool
) -> None:
    budget = experiment.budget
    if loop.status == "stopped early" and not given:
        raise ResumeError(
            f"{directory.path} was stopped early at update {loop.step}: its best was update "
            f"{loop.best_step}; to go on nevertheless, give it a budget such as --epochs"
        )
    # One that was interrupted has its last evaluation before it, even if no time is left.
    if loop.status in ("finished", "stopped early") and budget.progress(loop.step) >= 1:
        done = loop.step / experiment.batching.steps_per_epoch
        raise ResumeError(
            f"{directory.path} is complete: {done:.4g} epochs in {loop.seconds / 60:.3g} minutes; "
            "to extend it, give the whole run a longer budget with --epochs, --minutes or "
            "--characters"
        )
