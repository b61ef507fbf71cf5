"""The command line with the commands of plugins, which sphinx-click does not look for by itself.

The sections of ``charrnn --help`` are sources of a collection, which sphinx-click gives a heading.
"""

import click
from charrnn.cli import cli

from charrnn_core.registry.commands import in_sections

_context = click.Context(cli)
_sections = [
    click.Group(heading, {name: cli.get_command(_context, name) for name in inside})
    for heading, inside in in_sections().items()
]
group = click.CommandCollection("charrnn", _sections, params=cli.params, help=cli.help)
