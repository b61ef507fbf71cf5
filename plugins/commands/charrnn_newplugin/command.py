"""``charrnn new-plugin``: write a project that is a plugin, ready to be edited and installed."""

from pathlib import Path

import click

from charrnn_core.console.program import command
from charrnn_core.files.atomic import user_path
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.terminal import say
from charrnn_newplugin.project import words, write_project


@click.command("new-plugin", epilog=f"KIND is {', '.join(KINDS)}.")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    metavar="DIR", help="Where the directory charrnn-NAME is made  [default: here]",
)  # fmt: skip
def new_plugin(kind: str, name: str, into: Path) -> None:
    """Write a plugin of your own to edit: charrnn new-plugin cell mycell

    NAME is how users will call it; it becomes the distribution charrnn-NAME, which works and
    passes its tests as it is written.
    """
    into = user_path(into)
    written = write_project(kind, name, into)
    say("\n".join(f"wrote {path}" for path in written))
    made = words(kind, name)
    root = into / made["distribution"]
    steps = {
        f"edit {root / made['idea']}": "the idea",
        command("install", "-e", root): "charrnn finds it",
        command("check", kind, name): "does it do what charrnn expects?",
        command(*made["use"].split()[1:]): "use it",
    }
    width = max(map(len, steps))
    say("\n".join(["next:", *(f"  {step:{width}}  # {why}" for step, why in steps.items())]))
