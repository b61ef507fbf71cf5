"""``charrnn plugins``: what is installed, what failed to load, and what each component offers."""

import click

from charrnn_core.console.layout import room
from charrnn_core.console.stdout import kept_clean
from charrnn_core.registry.listing import (
    describe_plugin,
    list_plugins,
    list_requirements,
    list_timings,
    option_lines,
)
from charrnn_core.registry.spec import Ref
from charrnn_core.terminal import aligned, emit, say, say_json
from charrnn_plugins.screen import for_programs, for_terminal


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@click.option("--timings", is_flag=True, help="Show how long each took to import, slowest first.")
@click.option(
    "--requirements", is_flag=True, help="Print what is installed as pinned pip requirements."
)
@click.pass_context
def plugins(ctx: click.Context, as_json: bool, timings: bool, requirements: bool) -> None:
    """List the installed plugins, and those that failed to load."""
    if ctx.invoked_subcommand is not None:
        return
    if requirements:
        pins = list_requirements()
        if as_json:
            say_json(pins)
        else:
            say("\n".join(pins))
        return
    rows = list_timings() if timings else list_plugins()
    if as_json:
        say_json(rows)
    elif timings:
        table = [tuple(rows[0]), *(tuple(map(str, row.values())) for row in rows)] if rows else []
        say("\n".join(aligned(table)) if table else "no plugins installed")
    else:
        width = room()
        lines = for_programs(rows) if width is None else for_terminal(rows, width)
        emit("".join(f"{line}\n" for line in lines))


@plugins.command()
@click.argument("kind")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(kind: str, name: str, as_json: bool) -> None:
    """Show the provider and options of a plugin.

    NAME may be a spec such as elman:64. For a cell, show how the engine runs it, too.
    """
    ref, more = Ref.parse(name), []
    table = describe_plugin(kind, ref.use)
    if kind == "cell":
        from charrnn_core.network.explain import explain_cell, lines

        with kept_clean():
            table["unroll"] = explain_cell(ref)
        more = lines(table["unroll"])
    if as_json:
        say_json(table)
        return
    facts = [(k, str(v)) for k, v in table.items() if k not in ("options", "settings", "unroll")]
    options = option_lines(table.get("options", []))
    settings = [f"  {k} = {v!r}" for k, v in table.get("settings", {}).items()]
    say("\n".join([*aligned(facts), *options, *settings, *more]))
