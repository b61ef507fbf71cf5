"""The target of the source ``python-docs``: English prose that ships inside every CPython."""

import importlib
import inspect
import platform
from collections.abc import Iterable, Iterator

from charrnn_core.errors import SourceError
from charrnn_core.registry.options import NoOptions
from charrnn_core.text.corpus import Corpus, SourceContext

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

_RUN = 4
"""The length in words of the runs that are compared."""

_REPEATED = 0.1
"""The largest share of a paragraph's runs that may have occurred before."""


def python_docs(argument: str | None, options: NoOptions, context: SourceContext) -> Corpus:
    """Return Python's language reference, or its docstrings if a distribution omits the reference.

    The reference is ``pydoc_data.topics`` without its drawn tables. Many of its articles are
    sections of others, so a fifth of the text would occur twice and a compressor that copies would
    beat any model that learns; `told_once` removes the repetitions.

    The text depends only on the version of Python.

    Raises:
        SourceError: an argument is given, or this Python has neither.
    """
    del options, context  # this source has no options and needs neither cache nor network
    if argument is not None:
        raise SourceError(
            f"'python-docs:{argument}' has an argument; expected python-docs without one, or "
            "file:PATH for a text of your own"
        )
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
        articles, where = [topics[name] for name in sorted(topics)], "pydoc_data.topics"
    except ImportError:
        articles, where = list(docstrings()), "the standard library's docstrings"
    text = told_once(without_tables(article.replace("\r\n", "\n")) for article in articles)
    if not text:
        raise SourceError(
            "this Python has no documentation inside (docstrings are off with -OO); "
            "name a text with --source file:PATH"
        )
    return Corpus(
        text=text,
        name="python-docs",
        origin=f"{where} of Python {platform.python_version()}",
        licence="PSF-2.0",
    )


def without_tables(text: str) -> str:
    """Remove the lines of drawn tables, which would teach a model to write blanks.

    >>> without_tables("one\\n+---+\\n|  a  |\\n+===+\\ntwo")
    'one\\ntwo'
    """
    return "\n".join(
        line for line in text.split("\n") if not line.lstrip().startswith(("|", "+-", "+="))
    )


def told_once(articles: Iterable[str]) -> str:
    """Join the articles, longest first, without paragraphs that repeat earlier ones.

    A paragraph repeats if more than a tenth of its runs of four words occurred in earlier ones.

    >>> told_once(["b c", "The cat sat on the mat.\\n\\nb c", "The cat sat on the bed."])
    'The cat sat on the mat.\\n\\nb c\\n'
    """
    known: set[tuple[str, ...]] = set()
    kept = []
    for article in sorted(articles, key=len, reverse=True):
        for paragraph in article.strip().split("\n\n"):
            words = paragraph.split()
            ends = range(_RUN, max(_RUN, len(words)) + 1)
            runs = [tuple(words[end - _RUN : end]) for end in ends]
            if sum(run in known for run in runs) <= _REPEATED * len(runs):
                kept.append(paragraph)
            known.update(runs)
    return "\n\n".join(kept) + "\n" if kept else ""


def docstrings() -> Iterator[str]:
    """Yield the docstrings of a fixed list of modules, their classes, methods and functions."""
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
    """Return the public functions and classes defined in a module or class, by name."""
    named = sorted((name, item) for name, item in vars(owner).items() if not name.startswith("_"))
    return [item for _, item in named if inspect.isroutine(item) or inspect.isclass(item)]


def _docstring(item: object) -> Iterator[str]:
    if text := inspect.getdoc(item):
        yield text
