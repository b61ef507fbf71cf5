"""The command line: a group of commands, all of them plugins. Installed as ``charrnn.cli``."""

import gc
from pathlib import Path
from typing import Any

import click

from charrnn_core.console.stdio import guarded
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError, EngineWarning, OutputError
from charrnn_core.registry.distribution import whose
from charrnn_core.registry.entrypoints import COMMANDS, Entry, first_line, installed
from charrnn_core.terminal import note_warnings, printable, to_stderr

_ALLOCATIONS = 50_000
"""How many objects are made between two searches for unreachable ones.

Python's own 700 spend a seventh of the time in which jax is imported and traces a program.
"""


class Commands(click.Group):
    """The commands of plugins, the built-in ones among them, listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (entry := _commands().get(cmd_name)) is None:
            return None
        try:
            with kept_clean():
                return _taking_plugins(entry.load())
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            raise click.ClickException(
                f"command {cmd_name!r} {_origin(entry)} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = sorted((name, _summary(entry)) for name, entry in _commands().items())
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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
    from charrnn_core.registry.habits import option_for

    params = error.ctx.command.params if error.ctx else []
    instead = option_for(error.option_name, [option for param in params for option in param.opts])
    if instead is None:
        return error
    message = f"{error.message.rstrip('.')}; here it is {instead}"
    return click.NoSuchOption(error.option_name, message, ctx=error.ctx)


def _taking_plugins(command: click.Command) -> click.Command:
    """Add the option ``--plugin`` to a command and to its subcommands."""

    def use(ctx: click.Context, param: click.Parameter, files: tuple[Path, ...]) -> None:
        if files:
            from charrnn_core.registry.single_file import using_local_files

            ctx.with_resource(using_local_files(files))

    if not any(param.name == "plugin" for param in command.params):
        option = click.Option(
            ["--plugin"],
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            is_eager=True,
            callback=use,
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


def _commands() -> dict[str, Entry]:
    """Return the commands by name; no plugin can replace one of charrnn's own."""
    entries = sorted(installed().group(COMMANDS), key=lambda entry: entry.distribution == "charrnn")
    return {entry.name: entry for entry in entries}


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


def main(**extra: Any) -> None:
    """Run the ``charrnn`` command; this is its entry point."""
    gc.set_threshold(_ALLOCATIONS)
    with guarded():
        cli(prog_name="charrnn", **extra)


if __name__ == "__main__":
    main()
