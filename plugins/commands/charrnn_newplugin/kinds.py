"""What differs between the projects of two kinds of plugin, read from ``templates/KIND.toml``."""

import importlib.resources
import tomllib
from dataclasses import dataclass

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.descriptors import KINDS

TEMPLATES = importlib.resources.files("charrnn_newplugin") / "templates"
"""The templates of a project's files, and the words of every kind."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of one kind. They are templates too, see `charrnn_newplugin.project.words`.

    Arguments:
        summary: the idea in one line.
        target: the name in the implementation that the plugin points to; empty if there is none.
        option: the line that declares its option.
        argument: the option that the text after the colon sets; empty if there is none.
    """

    summary: str
    target: str = ""
    option: str = ""
    argument: str = ""


def words_of(kind: str) -> Words:
    """Read the words of a kind.

    Raises:
        UnknownNameError: the kind does not exist.

    >>> words_of("cell").argument
    'features'
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of plugin", kind, KINDS)
    return Words(**tomllib.loads((TEMPLATES / f"{kind}.toml").read_text(encoding="utf-8")))
