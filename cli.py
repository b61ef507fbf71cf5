"""The command line: parses, calls the core, prints. Installed as ``charrnn.cli``."""

import dataclasses
import importlib.metadata
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from charrnn_core.devices import use_every_core
from charrnn_core.errors import CharRNNError, UsageError
from charrnn_core.listing import describe_plugin, list_plugins
from charrnn_core.options import annotations, placeholder
from charrnn_core.registry import Registry
from charrnn_core.run import RECIPES, RunConfig, layered, read_toml
from charrnn_core.signals import Interrupt
from charrnn_core.spec import Ref, parse_refs
from charrnn_core.terminal import aligned, printable

# What trains and samples is imported inside the commands: it needs jax, and --help must not.

_STARTED = time.monotonic()
_PLUGIN_COMMANDS = "charrnn.commands"


class Commands(click.Group):
    """The built-in commands and those of plugins, which are listed without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_plugin_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (command := super().get_command(ctx, cmd_name)) or cmd_name not in _plugin_commands():
            return command
        entry = _plugin_commands()[cmd_name]
        try:
            return entry.load()
        except Exception as error:  # whatever a plugin's import raises is the plugin's fault
            raise click.ClickException(
                f"command {cmd_name!r} {_origin(entry)} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        theirs = _plugin_commands().items()
        rows += [(name, _origin(entry)) for name, entry in theirs if name not in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CharRNNError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"Error: {' '.join(str(error).splitlines())}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # The reader, such as head, has seen enough. Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def _plugin_commands() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=_PLUGIN_COMMANDS)}


def _origin(entry: importlib.metadata.EntryPoint) -> str:
    return f"(from {entry.dist.name} {entry.dist.version})" if entry.dist else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(package_name="charrnn", prog_name="charrnn")
def cli(debug: bool) -> None:
    """Character-level recurrent language models in JAX."""


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each setting of a run; the core reads the values, for it knows their types."""
    for field in reversed(dataclasses.fields(RunConfig)):
        if field.name != "observers":
            help = field.metadata["help"][0].upper() + field.metadata["help"][1:]
            default = _default(field.default)
            command = click.option(
                f"--{field.name.replace('_', '-')}",
                metavar=placeholder(annotations(RunConfig)[field.name]),
                help=f"{help}.{f'  [default: {default}]' if default else ''}",
            )(command)
    return command


def _default(value: Any) -> str:
    """A setting's default as the user would type it; empty if there is nothing to show."""
    if isinstance(value, tuple):
        return ",".join(map(_default, value))
    if isinstance(value, Ref):
        return value.table()["use"]
    return "" if value is None else str(value)


def _component_options(command: Callable[..., None]) -> Callable[..., None]:
    for kind in ("optimizer", "sampler", "loss", "source", "cell"):
        command = click.option(
            f"--{kind}-opt",
            multiple=True,
            metavar="KEY=VALUE",
            help=f"Set an option of the {kind}.",
        )(command)
    return command


@cli.command()
@_setting_options
@_component_options
@click.option("--lr", metavar="FLOAT", help="Peak learning rate of the optimizer.")
@click.option("--recipe", metavar="NAME", help=f"A preset: {', '.join(RECIPES)}.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings from a TOML file.")
@click.option("--observer", multiple=True, metavar="SPEC", help="One more observer.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory  [default: runs/...]")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
def run(config: Path | None, out: Path | None, quiet: bool, **given: Any) -> None:
    """Train a model: charrnn run --cell elman --source gutenberg:520"""
    settings = _read_settings(config, given)
    if quiet:
        kept = tuple(ref for ref in settings.observers if ref.use != "progress")
        settings = dataclasses.replace(settings, observers=kept)
    registry = Registry.installed()
    settings = settings.resolve(registry)  # a wrong name is told at once, before jax is imported
    use_every_core()
    from charrnn_core import api

    interrupt = Interrupt(lambda line: click.echo(line, err=True))
    options = {"out": out, "registry": registry, "started": _STARTED}
    trained = api.train(settings, **options, observers=[interrupt], stop=interrupt)
    directory = shlex.quote(str(trained.directory))
    if (result := trained.held_out) is not None:
        click.echo(
            f"held-out  {result.nats_per_char:.4f} nats, {result.bits_per_char:.4f} bits per "
            f"character ({result.split}, {result.characters:,} characters)"
        )
    click.echo(f"run       {directory}")
    click.echo(f"sample    charrnn sample {directory} --length 500")
    click.echo(f"evaluate  charrnn eval {directory}")
    if trained.reason == "interrupted":
        click.echo("interrupted: what was learnt so far is saved", err=True)
        sys.exit(130)


def _read_settings(config: Path | None, given: dict[str, Any]) -> RunConfig:
    """The configuration: defaults, then the recipe, then the file, then the command line."""
    more = {kind: given.pop(f"{kind}_opt") for kind in ("source", "cell", "loss", "optimizer")}
    sampler_options = given.pop("sampler_opt")
    observers, lr = given.pop("observer"), given.pop("lr")
    values = {} if config is None else read_toml(config)
    settings = RunConfig.read(layered(values, {k: v for k, v in given.items() if v is not None}))
    options = {kind: _pairs(kind, texts) for kind, texts in more.items()}
    if lr is not None:
        options["optimizer"]["learning_rate"] = lr
    changes: dict[str, Any] = {
        kind: getattr(settings, kind).with_options(values) for kind, values in options.items()
    }
    if sampler_options:
        first, *others = settings.sampler
        changes["sampler"] = (first.with_options(_pairs("sampler", sampler_options)), *others)
    added = [ref for spec in observers for ref in parse_refs(spec)]
    return dataclasses.replace(settings, observers=(*settings.observers, *added), **changes)


def _pairs(kind: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--{kind}-opt {text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


_unknown = click.option(
    "--unknown",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with characters outside the model's alphabet.",
)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="What the model reads first.")
@click.option("--prompt-file", type=click.File("rb"), help="Prompt from a file, or -.")
@click.option("--length", type=click.IntRange(min=1), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--n", type=click.IntRange(min=1), default=1, show_default=True, help="Samples.")
@click.option("--sampler", metavar="SPEC", help="A sampler or a chain  [default: the run's]")
@_unknown
def sample(run: Path, prompt: str, prompt_file: Any, n: int, **options: Any) -> None:
    """Write text with the model of a RUN: its directory or a checkpoint."""
    from charrnn_core import api
    from charrnn_core.corpus import decode_text

    if prompt_file is not None:
        prompt = decode_text(prompt_file.read(), f"the prompt in {prompt_file.name}")
    shown = printable if sys.stdout.isatty() else str
    pieces = api.stream(api.load(run), prompt, n=n, **options)
    if n == 1:
        click.echo(shown(prompt), nl=False)
        for piece in pieces:
            click.echo(shown(piece[0]), nl=False)
        click.echo()
    else:
        for i, texts in enumerate(zip(*pieces, strict=True), start=1):
            click.echo(f"--- {i} ---\n{shown(prompt + ''.join(texts))}")


@cli.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--source", metavar="SPEC", help="The text  [default: the run's]")
@click.option("--split", metavar="NAME", help="A split, or train, valid, test or all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_unknown
def evaluate(run: Path, as_json: bool, **options: Any) -> None:
    """Score held-out text with the model of a RUN."""
    from charrnn_core import api

    result = api.evaluate(api.load(run), **options)
    if as_json:
        click.echo(json.dumps(result.table()))
    else:
        click.echo(
            f"{result.nats_per_char:.4f} nats, {result.bits_per_char:.4f} bits per character, "
            f"perplexity {result.perplexity:.3f} ({result.part} part of {result.split}, "
            f"{result.characters:,} characters)"
        )


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(run: Path, as_json: bool) -> None:
    """Show what a checkpoint holds; needs none of its plugins."""
    from charrnn_core.explain import summary
    from charrnn_core.model import describe_run

    table = describe_run(run)
    if as_json:
        click.echo(json.dumps(table))
        return
    for key, value in table.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if key == "unroll":
            click.echo(f"unroll: {summary(table['unroll'])}")
        elif isinstance(inner, dict):
            click.echo(f"{key}:")
            _columns([(f"  {name}", str(item)) for name, item in inner.items()])
        else:
            click.echo(f"{key}: {value!r}")


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the plugins that are installed, and those that failed to load."""
    if ctx.invoked_subcommand is not None:
        return
    rows = list_plugins(Registry.installed())
    if as_json:
        click.echo(json.dumps(rows))
    else:
        head = ("kind", "name", "distribution", "version", "status", "summary")
        _columns([head, *(tuple(row[key] for key in head) for row in rows)])


@plugins.command()
@click.argument("kind")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(kind: str, name: str, as_json: bool) -> None:
    """Show a plugin's provider and options; of a cell or its spec also what the engine makes."""
    registry, ref = Registry.installed(), Ref.parse(name)
    table, more = describe_plugin(registry, kind, ref.use), []
    if kind == "cell":
        from charrnn_core.explain import explain_cell, lines

        table["unroll"] = explain_cell(registry, ref)
        more = lines(table["unroll"])
    if as_json:
        click.echo(json.dumps(table))
        return
    _columns([(k, str(v)) for k, v in table.items() if k not in ("options", "unroll")])
    for option in table["options"]:
        default = "required" if option["default"] is None else f"default {option['default']}"
        click.echo(f"  {option['name']}: {option['type']}, {default}")
        click.echo(f"      {option['help']}{option['bounds'] and '; ' + option['bounds']}")
    for line in more:
        click.echo(line)


def _columns(rows: list[tuple[str, ...]]) -> None:
    """Print rows with aligned columns."""
    for line in aligned(rows):
        click.echo(line)


def main(**extra: Any) -> None:
    """The entry point of the ``charrnn`` command."""
    cli(prog_name="charrnn", **extra)


if __name__ == "__main__":
    main()
