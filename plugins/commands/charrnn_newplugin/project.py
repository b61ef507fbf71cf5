"""A new plugin's project: its name and its files, made from the templates beside this module."""

import importlib.metadata
import importlib.util
import itertools
import re
from pathlib import Path
from string import Template

from charrnn_core.errors import PluginError, UsageError
from charrnn_core.files.atomic import explained
from charrnn_core.registry import listing
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.plugin import Component
from charrnn_newplugin.kinds import TEMPLATES, words_of

_AROUND = {"pyproject.toml": "pyproject.toml", "README.md": "README.md", ".gitignore": "gitignore"}
_TESTS = {"tests/test_$identifier.py": "test.py"}

_BENCH = (
    "\n| `charrnn bench --cells elman,lstm,{name}` "
    "| ... bits per character, ... characters per second |"
)


def words(kind: str, name: str) -> dict[str, str]:
    """Return the values of the templates' placeholders.

    >>> found = words("cell", "my-cell")
    >>> found["distribution"], found["module"], found["target"], found["use"]
    ('charrnn-my-cell', 'charrnn_my_cell', 'MyCell', 'charrnn run --cell my-cell')
    """
    identifier, facts, descriptor = name.replace("-", "_"), words_of(kind), KINDS[kind]
    stem = name.removesuffix(kind)  # so that the class of mycell is MyCell, not MycellCell
    given = {
        "kind": kind,
        "name": name,
        "identifier": identifier,
        "distribution": f"charrnn-{name}",
        "module": f"charrnn_{identifier}",
        "Class": "".join(part.capitalize() for part in re.split("[-_]", stem)),
        "Plugin": descriptor.__name__,
        "hook": descriptor.hook,
        "use": f"charrnn run --{kind} {name}",
        "argument": f'\n        argument="{facts.argument}",' if facts.argument else "",
        "bench": _BENCH.format(name=name) if kind == "cell" else "",
    }
    given["idea"] = Template(list(_own(kind))[-1]).substitute(given)
    more = {key: getattr(facts, key) for key in ("target", "option", "summary")}
    return given | {key: Template(text).substitute(given) for key, text in more.items()}


def _own(kind: str) -> dict[str, str]:
    """Return the package's files; a plugin without a target is all in its registration."""
    if issubclass(KINDS[kind], Component):
        return {"$module/__init__.py": "registration.py", "$module/$kind.py": "$kind.py"}
    return {"$module/__init__.py": "$kind.py"}


def files(kind: str, name: str) -> dict[str, str]:
    """Return the texts of a project by their paths in it.

    >>> list(files("cell", "mycell"))[3:5]
    ['charrnn_mycell/__init__.py', 'charrnn_mycell/cell.py']
    """
    meaning = words(kind, name)
    made = {}
    for path, template in (_AROUND | _own(kind) | _TESTS).items():
        source = TEMPLATES / f"{Template(template).substitute(meaning)}.template"
        text = Template(source.read_text(encoding="utf-8")).substitute(meaning)
        made[Template(path).substitute(meaning)] = text
    return made


def check_name(kind: str, name: str) -> None:
    """Check that a new plugin can have this name.

    Raises:
        UnknownNameError: the kind does not exist.
        UsageError: the name is malformed, or an installed plugin has it.

    >>> check_name("cell", "elman")
    Traceback (most recent call last):
    charrnn_core.errors.UsageError: cell 'elman' is already offered by charrnn ...; choose \
another name, such as 'my-elman'
    """
    words_of(kind)
    try:
        KINDS[kind].check_name(name)
    except PluginError as error:
        raise UsageError(str(error)) from error
    if not name[-1].isalnum():
        raise UsageError(
            f"{name!r} cannot name a distribution; expected a letter or a digit at its end"
        )
    if holder := _holder(kind, name):
        others = itertools.chain([f"my-{name}"], (f"{name}-{i}" for i in itertools.count(2)))
        free = next(other for other in others if not _holder(kind, other))
        raise UsageError(f"{holder}; choose another name, such as {free!r}")


def _holder(kind: str, name: str) -> str:
    """Return in words what already has the name; empty if it is free."""
    for row in listing.list_plugins():
        if (row["kind"], row["name"]) == (kind, name):
            return f"{kind} {name!r} is already offered by {row['distribution']} {row['version']}"
    made = words(kind, name)
    if importlib.util.find_spec(made["module"]):
        return f"the module {made['module']} already exists"
    try:
        version = importlib.metadata.version(made["distribution"])
    except importlib.metadata.PackageNotFoundError:
        return ""
    return f"{made['distribution']} {version} is already installed"


def write_project(kind: str, name: str, into: Path) -> list[Path]:
    """Write a project into a new directory and return the paths of its files.

    Arguments:
        kind: such as ``"cell"``.
        name: the plugin's name in commands.
        into: where the directory ``charrnn-NAME`` is created.

    Raises:
        UnknownNameError, UsageError: the name is not available, or the directory exists.
        StorageError: the files cannot be written.
    """
    check_name(kind, name)
    root = into / words(kind, name)["distribution"]
    if root.exists():
        raise UsageError(
            f"{root} already exists; choose another name, or another place with --into DIR"
        )
    with explained("create", root):
        root.mkdir(parents=True)
    written = []
    for path, text in files(kind, name).items():
        file = root / path
        with explained("write", file):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        written.append(file)
    return written
