"""The command line: parse, call the core, print. Installed as ``charrnn.cli``."""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from charrnn_core.console.stdio import dispensable, guarded
from charrnn_core.console.stdout import kept_clean
from charrnn_core.devices import use_every_core
from charrnn_core.errors import CharRNNError, EngineWarning, OutputError
from charrnn_core.registry.entrypoints import COMMANDS, Entry, installed
from charrnn_core.registry.habits import option_for
from charrnn_core.registry.listing import first_line
from charrnn_core.registry.options import annotations, placeholder
from charrnn_core.registry.provider import whose
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.single_file import name_local_file
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.settings import (
    CHANGES,
    WITH_OPTIONS,
    imitations,
    read_settings,
    recipe_names,
    source_with,
)
from charrnn_core.signals import Interrupt
from charrnn_core.terminal import note_warnings, printable, say, to_stderr

# Code that trains or samples is imported inside the commands: it imports jax, and --help must not.

_STARTED = time.monotonic()


class Commands(click.Group):
    """The built-in commands and those of plugins, which are listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_plugin_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (command := super().get_command(ctx, cmd_name)) or cmd_name not in _plugin_commands():
            return command and _taking_plugins(command)
        entry = _plugin_commands()[cmd_name]
        try:
            with kept_clean():
                return _taking_plugins(entry.load())
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            raise click.ClickException(
                f"command {cmd_name!r} {_origin(entry)} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        theirs = _plugin_commands().items()
        rows += [(name, _summary(entry)) for name, entry in theirs if name not in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _with_suggestion(error) from error
        except OutputError:
            raise  # `main` reports it, since click may also fail to print before any command runs
        except CharRNNError as error:
            if ctx.params["debug"]:
                raise
            to_stderr(f"Error: {error}")
            ctx.exit(error.exit_code)
        except click.ClickException as error:
            # Kept as it is, because a UsageError also shows the usage of its command.
            error.message = printable(error.message)  # pyright: ignore[reportAttributeAccessIssue]
            raise
        except KeyboardInterrupt:
            ctx.exit(130)


def _with_suggestion(error: click.NoSuchOption) -> click.NoSuchOption:
    """Add the option that charrnn has for what other programs call by this name."""
    params = error.ctx.command.params if error.ctx else []
    instead = option_for(error.option_name, [option for param in params for option in param.opts])
    if instead is None:
        return error
    message = f"{error.message.rstrip('.')}; here it is {instead}"
    return click.NoSuchOption(error.option_name, message, ctx=error.ctx)


def _taking_plugins(command: click.Command) -> click.Command:
    """Add the option ``--plugin`` to a command and to its subcommands."""

    def name(ctx: click.Context, param: click.Parameter, files: tuple[Path, ...]) -> None:
        for file in files:
            name_local_file(file)

    if not any(param.name == "plugin" for param in command.params):
        option = click.Option(
            ["--plugin"],
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            is_eager=True,
            callback=name,
            help="Also use this Python file as a plugin.",
        )
        command.params.append(option)
        if isinstance(command, click.Group):
            below = command.get_command

            def get_command(ctx: click.Context, cmd_name: str) -> click.Command | None:
                found = below(ctx, cmd_name)
                return found and _taking_plugins(found)

            command.get_command = get_command
    return command


def _plugin_commands() -> dict[str, Entry]:
    return {entry.name: entry for entry in installed().group(COMMANDS)}


def _summary(entry: Entry) -> str:
    """Return the first line of a command's help, and its distribution unless that is charrnn."""
    origin = "" if entry.distribution == "charrnn" else _origin(entry)
    return f"{first_line(entry.module, entry.attribute)} {origin}".strip()


def _origin(entry: Entry) -> str:
    return f"(from {whose(entry.distribution, entry.version)})"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="charrnn", prog_name="charrnn")
def cli(debug: bool) -> None:
    """Character-level recurrent language models in JAX."""
    note_warnings(EngineWarning)


_ALIASES = {"characters": ("--chars",), "parameters": ("--params",)}


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add one option for each setting of a run; the core parses the values."""
    for field in reversed(dataclasses.fields(RunConfig)):
        if field.name != "observers":
            help = field.metadata["help"][0].upper() + field.metadata["help"][1:] + "."
            if default := _default(field.default):
                help += f"  [default: {default}]"
            name, kind = field.name.replace("_", "-"), annotations(RunConfig)[field.name]
            flag = {"default": None, "is_flag": True} if kind is bool else {}
            command = click.option(
                f"--{name}/--no-{name}" if flag else f"--{name}",
                *_ALIASES.get(field.name, ()),
                metavar=None if flag else placeholder(kind),
                help=help,
                **flag,
            )(command)
    return command


class Naming(click.Option):
    """An option whose help lists the available names, looked up when help is requested."""

    def __init__(self, *args: Any, names: Callable[[Registry], list[str]], **kwargs: Any) -> None:
        self._names = names
        super().__init__(*args, **kwargs)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        names = ", ".join(self._names(Registry.installed()))
        return record and (record[0], f"{record[1]}: {names}.")


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
        click.option("--quiet", is_flag=True, help="Print the result only, no progress."),
        click.option("--observer", multiple=True, metavar="SPEC", help="Add an observer."),
    ):
        command = option(command)
    return command


@cli.command()
@_setting_options
@_component_options
@click.option("--lr", metavar="FLOAT", help="Peak learning rate of the optimizer.")
@click.option("--recipe", cls=Naming, names=recipe_names, metavar="NAME", help="A preset")
@click.option("--like", cls=Naming, names=imitations, metavar="NAME", help="Imitate another system")
@click.option("--config", type=click.Path(path_type=Path), help="Read settings from a TOML file.")
@_observer_options
@click.option("--out", type=click.Path(path_type=Path), help="Run directory  [default: runs/...]")
@click.option("--from-first-update", is_flag=True, help="Count --minutes from the first update.")
@click.option("--self-check-resume", is_flag=True, help="Only check that resuming is exact.")
def run(
    config: Path | None,
    out: Path | None,
    quiet: bool,
    from_first_update: bool,
    self_check_resume: bool,
    **given: Any,
) -> None:
    """Train a model: charrnn run --cell elman --source gutenberg:520"""
    from charrnn_core.runs.writer import RunWriter

    options = {kind: given.pop(f"{kind}_opt") for kind in WITH_OPTIONS}
    more = {"learning_rate": given.pop("lr"), "observers": given.pop("observer")}
    registry = Registry.installed()
    settings = read_settings(config, given, options, quiet=quiet, registry=registry, **more)
    use_every_core(least=settings.shards or 1)
    if self_check_resume:
        from charrnn_core.selfcheck import check_resume

        verdict = check_resume(settings, registry)
        say("\n".join(verdict.lines()))
        sys.exit(0 if verdict.exact else 1)
    if from_first_update and settings.minutes is None:
        raise click.UsageError("--from-first-update needs --minutes; add --minutes FLOAT")
    # The directory is claimed before jax is imported, so that a second run fails at once.
    with RunWriter.claim(settings, out, registry) as writer:
        more = {"out": writer, "registry": registry, "from_first_update": from_first_update}
        _train(lambda api, **how: api.train(**more, **how))


@cli.command()
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
    help="Resume although this has changed; may be repeated.",
)
@click.option("--source", metavar="SPEC", help="Where the text is now  [default: where it was]")
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of --source.")
@_observer_options
def resume(
    run: Path,
    allow_change: tuple[str, ...],
    source: str | None,
    source_opt: tuple[str, ...],
    quiet: bool,
    observer: tuple[str, ...],
    **budget: str | None,
) -> None:
    """Resume a RUN exactly where it stopped, or extend it."""
    from charrnn_core.runs.writer import RunWriter

    given = {name: value for name, value in budget.items() if value is not None}
    with RunWriter.resuming(run, to_stderr) as writer:
        use_every_core(least=writer.shards)
        how = {
            "budget": given,
            "allow": allow_change,
            "quiet": quiet,
            "watch": observer,
            "source": source_with(source, source_opt),
        }
        _train(lambda api, **more: api.resume(writer, **how, **more))


def _train(call: Callable[..., Any]) -> None:
    """Train, print the result, and exit with the code that a shell expects after a signal."""
    from charrnn_core import api

    interrupt = Interrupt(lambda line: say(line, err=True))
    with dispensable() as lost:
        trained = call(api, started=_STARTED, observers=[interrupt], stop=interrupt)
        say("\n".join(trained.lines()))
    for error in lost:
        to_stderr(f"note: {error}; the run is saved in {trained.directory}")
    if trained.reason == "interrupted":
        to_stderr("interrupted: progress so far is saved")
    if interrupt():  # perhaps only while the baselines were computed
        sys.exit(interrupt.exit_code)


def main(**extra: Any) -> None:
    """Run the ``charrnn`` command; this is its entry point."""
    with guarded():
        cli(prog_name="charrnn", **extra)


if __name__ == "__main__":
    main()
