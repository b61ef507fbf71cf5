"""``charrnn new-plugin``: create a plugin's project, ready to be edited and installed."""

from pathlib import Path

import click

from charrnn_core.console.program import command
from charrnn_core.files.atomic import user_path
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.terminal import say
from charrnn_newplugin.project import words, write_project


@click.command("new-plugin", epilog=f"KIND is {', '.join(KINDS)}.")
@click.argument("kind")
@click.argument("new", metavar="NAME")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    metavar="DIR", help="Create the directory charrnn-NAME in DIR  [default: here]",
)  # fmt: skip
def new_plugin(kind: str, new: str, into: Path) -> None:
    """Create a plugin project for you to edit: charrnn new-plugin cell mycell

    NAME is the plugin's name in commands. The project is the distribution charrnn-NAME, which
    works and passes its tests before you change anything.
    """
    into = user_path(into)
    written = write_project(kind, new, into)
    say("\n".join(f"wrote {path}" for path in written))
    made = words(kind, new)
    root = into / made["distribution"]
    steps = {
        f"edit {root / made['idea']}": "put your idea here",
        command("install", "-e", root): "make it available",
        command("check", kind, new): "check that it does what charrnn expects",
        command(*made["use"].split()[1:]): "use it",
    }
    width = max(map(len, steps))
    say("\n".join(["next:", *(f"  {step:{width}}  # {why}" for step, why in steps.items())]))
