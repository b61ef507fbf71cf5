"""The command line with the commands of plugins, which sphinx-click does not look for by itself."""

import click
from charrnn.cli import cli

_context = click.Context(cli)
_commands = {name: cli.get_command(_context, name) for name in cli.list_commands(_context)}
group = click.Group("charrnn", _commands, params=cli.params, help=cli.help)
