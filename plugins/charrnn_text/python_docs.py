"""The target of the source ``python-docs``: real English prose that every CPython carries."""

import importlib
import inspect
import platform
from collections.abc import Iterator

from charrnn_core.corpus import Corpus, SourceContext
from charrnn_core.errors import SourceError
from charrnn_core.options import NoOptions

_MODULES = (
    "argparse",
    "ast",
    "calendar",
    "collections",
    "configparser",
    "csv",
    "datetime",
    "decimal",
    "difflib",
    "email.message",
    "fractions",
    "functools",
    "heapq",
    "http.client",
    "inspect",
    "itertools",
    "json",
    "logging",
    "os",
    "pathlib",
    "random",
    "re",
    "shutil",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "textwrap",
    "threading",
    "unittest",
    "urllib.parse",
    "zipfile",
)


def python_docs(argument: str | None, options: NoOptions, context: SourceContext) -> Corpus:
    """Python's language reference, or its docstrings where a distribution leaves that out.

    The reference is a distribution's own ``pydoc_data.topics``, less its drawn tables.

    The text depends on the version of Python alone.

    Raises:
        SourceError: an argument is given, or this Python has neither.
    """
    del options, context  # this source has no options and needs neither cache nor network
    if argument is not None:
        raise SourceError(
            f"'python-docs:{argument}' has an argument; expected python-docs and nothing more, "
            "or file:PATH for a text of yours"
        )
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
        text, where = "\n".join(topics[name] for name in sorted(topics)), "pydoc_data.topics"
    except ImportError:
        text, where = "\n\n".join(docstrings()), "the standard library's docstrings"
    if not text:
        raise SourceError(
            "this Python has no documentation inside (docstrings are off with -OO); "
            "name a text with --source file:PATH"
        )
    return Corpus(
        text=without_tables(text.replace("\r\n", "\n")),
        name="python-docs",
        origin=f"{where} of Python {platform.python_version()}",
        licence="PSF-2.0",
    )


def without_tables(text: str) -> str:
    """The text without the lines of drawn tables, which would teach a model to write blanks.

    >>> without_tables("one\\n+---+\\n|  a  |\\n+===+\\ntwo")
    'one\\ntwo'
    """
    return "\n".join(
        line for line in text.split("\n") if not line.lstrip().startswith(("|", "+-", "+="))
    )


def docstrings() -> Iterator[str]:
    """The docstrings of a fixed list of modules, their classes, methods and functions, in order."""
    for name in _MODULES:
        module = importlib.import_module(name)
        yield from _docstring(module)
        for item in _members(module):
            if getattr(item, "__module__", None) == name:
                yield from _docstring(item)
                if inspect.isclass(item):
                    for method in _members(item):
                        yield from _docstring(method)


def _members(owner: object) -> list[object]:
    """Public functions and classes defined in a module or class, by name."""
    named = sorted((name, item) for name, item in vars(owner).items() if not name.startswith("_"))
    return [item for _, item in named if inspect.isroutine(item) or inspect.isclass(item)]


def _docstring(item: object) -> Iterator[str]:
    if text := inspect.getdoc(item):
        yield text
