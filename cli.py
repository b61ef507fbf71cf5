"""The command line: a group of commands, all of them plugins. Installed as ``charrnn.cli``."""

import contextlib
import gc
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from charrnn_core.console.program import command as to_paste
from charrnn_core.console.stdio import guarded
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError, EngineWarning, OutputError
from charrnn_core.registry.commands import commands, in_sections
from charrnn_core.registry.distribution import whose
from charrnn_core.registry.entrypoints import Entry, first_line
from charrnn_core.terminal import note_warnings, one_line, printable, say, to_stderr

_ALLOCATIONS = 50_000
"""How many objects are made between two searches for unreachable ones.

Python's own 700 spend a seventh of the time in which jax is imported and traces a program.
"""

_LONGEST_NAME = 20
"""Longer names of commands stand on a line of their own in the help."""

_FILES = "charrnn.plugins"
"""Where a context has the files named with ``--plugin``."""

_BEGINNING = (
    (("run", "--minutes", "1", "--out", "runs/first"), "train something small"),
    (("sample", "runs/first"), "write with it"),
    (("--help",), "see what else there is"),
)
"""What to try first."""


class Commands(click.Group):
    """The commands of plugins, the built-in ones among them, listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (entry := commands().get(cmd_name)) is None:
            return None
        try:
            with kept_clean():
                return _equipped(ctx, entry.load())
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            if ctx.resilient_parsing:  # a shell completes something
                return None
            raise click.ClickException(
                f"command {cmd_name!r} {_origin(entry)} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or name in commands()):
            import difflib  # here, for --help is to be quick

            nearest = difflib.get_close_matches(name, commands(), n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else "charrnn --help lists them"
            raise click.UsageError(f"no command named {name!r}; {hint}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max((len(name) for name in commands() if len(name) <= _LONGEST_NAME), default=0)
        for heading, inside in in_sections().items():
            with formatter.section(printable(heading)):
                rows = [(name, _summary(entry, heading)) for name, entry in inside.items()]
                formatter.write_dl([(f"{printable(name):{width}}", text) for name, text in rows])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=_summary(entry))
            for name, entry in commands().items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

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


def _equipped(ctx: click.Context, command: click.Command) -> click.Command:
    """Give a command, and its subcommands, what all of them have: ``--plugin``, and completion."""
    if ctx.resilient_parsing:
        for param in command.params:
            _completing(param)
    if any(param.name == "plugin" for param in command.params):
        return command
    command.params.append(_plugin_option())
    if isinstance(command, click.Group):
        below = command.get_command

        def get_command(ctx: click.Context, cmd_name: str) -> click.Command | None:
            found = below(ctx, cmd_name)
            return found and _equipped(ctx, found)

        command.get_command = get_command
    return command


def _plugin_option() -> click.Option:
    def use(ctx: click.Context, param: click.Parameter, files: tuple[Path, ...]) -> None:
        if files:
            from charrnn_core.registry.single_file import using_local_files

            ctx.with_resource(using_local_files(files))
            ctx.meta[_FILES] = files
            if not ctx.resilient_parsing:
                from charrnn_core.registry.catalogue import check_files

                check_files(files)

    return click.Option(
        ["--plugin"],
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=use,
        help="Also use this Python file as a plugin.",
    )


def _completing(param: click.Parameter) -> None:
    """Let a shell complete a parameter that is called as what charrnn can list, see `suggestions`.

    A path is completed too, and what a parameter completes by itself is left to it.
    """
    own = param.shell_complete
    name = "run" if param.metavar == "RUN" else param.name or ""

    def shell_complete(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = own(ctx, incomplete)
        if any(known.type == "plain" for known in found):
            return found
        if name == "source":
            found = [CompletionItem(incomplete, type="file")]
        with contextlib.suppress(Exception):  # nobody wants a traceback while typing
            from charrnn_core.registry.single_file import using_local_files
            from charrnn_core.runs.suggestions import suggestions

            with using_local_files(ctx.meta.get(_FILES, ())):  # click has closed the context
                for value, summary in suggestions(name, incomplete, ctx.params.get("kind")):
                    found.append(CompletionItem(value, help=one_line(printable(summary))))
        return found

    param.shell_complete = shell_complete


def _summary(entry: Entry, heading: str | None = None) -> str:
    """Return the first line of a command's help, and its distribution unless that is known."""
    known = entry.distribution == "charrnn" or heading == whose(entry.distribution, entry.version)
    line = first_line(entry.module, entry.attribute)
    return printable(line if known else f"{line} {_origin(entry)}".strip())


def _origin(entry: Entry) -> str:
    return f"(from {whose(entry.distribution, entry.version)})"


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="charrnn", prog_name="charrnn")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Character-level recurrent language models in JAX."""
    note_warnings(EngineWarning)
    if ctx.invoked_subcommand is None:
        lines = [(to_paste(*words), why) for words, why in _BEGINNING]
        width = max(len(line) for line, _ in lines)
        say("\n".join([f"{cli.help}\n\nBegin with:", *(f"  {a:{width}}  # {b}" for a, b in lines)]))


def main(**extra: Any) -> None:
    """Run the ``charrnn`` command; this is its entry point."""
    gc.set_threshold(_ALLOCATIONS)
    with guarded():
        cli(prog_name="charrnn", **extra)


if __name__ == "__main__":
    main()
