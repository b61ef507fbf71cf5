"""``charrnn run`` and ``charrnn resume``: train, print the result, exit as a shell expects."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from charrnn_core.console import program
from charrnn_core.console.process_options import process_options
from charrnn_core.devices import use_every_core
from charrnn_core.errors import RunCompleteError
from charrnn_core.registry.options import annotations, placeholder
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.settings import (
    CHANGES,
    WITH_OPTIONS,
    imitations,
    read_typed,
    recipe_names,
    source_with,
)
from charrnn_core.signals import Interrupt
from charrnn_core.terminal import say, to_stderr
from charrnn_train import together
from charrnn_train.report import report

# Code that trains is imported inside the commands: it imports jax, and --help must not.

_ALIASES = {"characters": ("--chars",), "parameters": ("--params",)}
_PLACEHOLDERS = {"init_from": "RUN", "freeze": "GLOB", "lr_scale": "GLOB=FLOAT"}


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add one option for each setting of a run; the core parses the values.

    One that takes several texts may be repeated.
    """
    for field in reversed(dataclasses.fields(RunConfig)):
        if field.name != "observers":
            help = field.metadata["help"][0].upper() + field.metadata["help"][1:] + "."
            if default := _default(field.default):
                help += f"  [default: {default}]"
            name, kind = field.name.replace("_", "-"), annotations(RunConfig)[field.name]
            flag = {"default": None, "is_flag": True} if kind is bool else {}
            several = {"multiple": True, "callback": _given} if kind == tuple[str, ...] else {}
            command = click.option(
                f"--{name}/--no-{name}" if flag else f"--{name}",
                *_ALIASES.get(field.name, ()),
                metavar=None if flag else _PLACEHOLDERS.get(field.name, placeholder(kind)),
                help=help,
                **flag,
                **several,
            )(command)
    return command


def _given(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> Any:
    """Return what was given of an option that may be repeated; None if nothing was."""
    del ctx, option
    return values or None


class Naming(click.Option):
    """An option whose help lists the available names, and that a shell completes with them."""

    def __init__(self, *args: Any, names: Callable[[Registry], list[str]], **kwargs: Any) -> None:
        self._names = names
        super().__init__(*args, **kwargs)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        names = ", ".join(self._names(Registry.installed()))
        return record and (record[0], f"{record[1]}: {names}.")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = self._names(Registry.installed())
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _default(value: Any) -> str:
    """Return a setting's default as the user would type it; empty if there is nothing to show."""
    if isinstance(value, tuple):
        return ",".join(map(_default, value))
    if isinstance(value, Ref):
        return value.table()["use"]
    return "" if value is None or value is False else str(value)


def _component_options(command: Callable[..., None]) -> Callable[..., None]:
    for kind in reversed(WITH_OPTIONS):
        command = click.option(
            f"--{kind}-opt",
            multiple=True,
            metavar="KEY=VALUE",
            help=f"Set an option of the {kind}.",
        )(command)
    return command


def _observer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose the observers to notify."""
    for option in (
        click.option("--quiet", is_flag=True, help="Print only the result, no progress."),
        click.option("--observer", multiple=True, metavar="SPEC", help="Add an observer."),
    ):
        command = option(command)
    return command


def _check_resume(ctx: click.Context) -> click.Command:
    """Return ``charrnn check resume``, another plugin's, for its alias."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    check = root.command.get_command(root, "check")
    if isinstance(check, click.Group) and (command := check.get_command(root, "resume")):
        return command
    raise click.UsageError("--self-check-resume needs the command 'charrnn check resume'")


@click.command()
@_setting_options
@_component_options
@click.option("--lr", metavar="FLOAT", help="Peak learning rate of the optimizer.")
@click.option("--recipe", cls=Naming, names=recipe_names, metavar="NAME", help="A preset")
@click.option("--like", cls=Naming, names=imitations, metavar="NAME", help="Imitate another system")
@click.option("--config", type=click.Path(path_type=Path), help="Read settings from a TOML file.")
@_observer_options
@process_options(click.option)
@click.option("--out", type=click.Path(path_type=Path), help="Run directory  [default: runs/...]")
@click.option("--or-resume", is_flag=True, help="Go on with the run in --out if it is begun.")
@click.option("--from-first-update", is_flag=True, help="Count --minutes from the first update.")
@click.option("--self-check-resume", is_flag=True, help="Only check that resuming is exact.")
@click.pass_context
def run(
    ctx: click.Context,
    out: Path | None,
    or_resume: bool,
    from_first_update: bool,
    self_check_resume: bool,
    processes: dict[str, Any],
    **given: Any,
) -> None:
    """Train a model: charrnn run --cell elman --source gutenberg:520"""
    from charrnn_core.runs.attempt import attempt
    from charrnn_core.runs.writer import RunWriter

    if self_check_resume:
        ctx.invoke(_check_resume(ctx), **given)
    registry = Registry.installed()
    settings = read_typed(given, registry)
    if from_first_update and settings.minutes is None:
        raise click.UsageError("--from-first-update needs --minutes; add --minutes FLOAT")
    if or_resume and out is None:
        raise click.UsageError("--or-resume needs --out; add --out DIRECTORY")
    # The directory is claimed before jax is imported, so that a second run fails at once.
    opened = functools.partial(attempt if or_resume else RunWriter.claim, settings, out, registry)
    if processes:
        use_every_core(least=settings.shards or 1)
        debug = ctx.find_root().params["debug"]
        together.run(
            processes, settings, opened, registry, from_first_update, given["quiet"], debug
        )
        return
    with opened() as writer:
        use_every_core(least=writer.shards)
        if writer.config is None:  # an earlier attempt has begun it
            _go_on(writer, settings, given["quiet"])
            return
        more = {"out": writer, "registry": registry, "from_first_update": from_first_update}
        _train(lambda api, **how: api.train(**more, **how), quiet=given["quiet"])


def _go_on(writer: Any, settings: RunConfig, quiet: bool) -> None:
    """Resume the run of an earlier attempt, unless that has completed it."""
    from charrnn_core.runs.attempt import new_budget

    how = {"budget": new_budget(writer, settings), "quiet": quiet}
    try:
        _train(lambda api, **more: api.resume(writer, **how, **more), quiet=quiet)
    except RunCompleteError as error:
        to_stderr(f"note: {error}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--epochs", metavar="FLOAT", help="New total length of the run in epochs.")
@click.option("--minutes", metavar="FLOAT", help="New total length of the run in minutes.")
@click.option(
    "--characters", "--chars", metavar="INT", help="New total length of the run in characters."
)
@click.option(
    "--allow-change",
    multiple=True,
    type=click.Choice(CHANGES),
    help="Resume even if this has changed; may be repeated.",
)
@click.option("--source", metavar="SPEC", help="Where the text is now, if it has moved.")
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of --source.")
@_observer_options
@process_options(click.option)
def resume(
    run: Path,
    allow_change: tuple[str, ...],
    source: str | None,
    source_opt: tuple[str, ...],
    quiet: bool,
    observer: tuple[str, ...],
    processes: dict[str, Any],
    **budget: str | None,
) -> None:
    """Resume a RUN exactly where it stopped, or extend it."""
    from charrnn_core.runs.writer import RunWriter

    given = {name: value for name, value in budget.items() if value is not None}
    how = {
        "budget": given,
        "allow": allow_change,
        "quiet": quiet,
        "source": source_with(source, source_opt),
    }
    if processes:
        debug = click.get_current_context().find_root().params["debug"]
        together.resume(processes, run, {**how, "observers": observer}, quiet, debug)
        return
    with RunWriter.resuming(run, to_stderr) as writer:
        use_every_core(least=writer.shards)
        how["watch"] = observer
        _train(lambda api, **more: api.resume(writer, **how, **more), quiet=quiet)


def _train(call: Callable[..., Any], quiet: bool) -> None:
    """Train, print the result, and exit with the code that a shell expects after a signal."""
    from charrnn_core import api

    interrupt = Interrupt(lambda line: say(line, err=True))
    report(call(api, started=program.STARTED, observers=[interrupt], stop=interrupt), quiet)
    if interrupt():  # perhaps only while the baselines were computed
        sys.exit(interrupt.exit_code)
