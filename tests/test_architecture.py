"""Who imports whom, read from the source: the design's arrows, and nothing else."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "charrnn_core"

GROUND = {
    "addresses",
    "ahead",
    "arrays",
    "blame",
    "cell",
    "chart",
    "devices",
    "download",
    "errors",
    "events",
    "moved",
    "noise",
    "public",
    "randomness",
    "schedules",
    "sharing",
    "signals",
    "terminal",
}
"""The modules at the root that import no room; every room may import them."""

ROOF = {"api", "downloaded", "__init__", "__main__"}
"""The modules at the root that import rooms; no room may import them."""

MAY_IMPORT = {
    "console": set(),
    "files": set(),
    "page": set(),
    "engine": set(),
    "registry": {"console", "files"},
    "text": {"console", "files", "registry"},
    "network": {"engine", "files", "registry"},
    "sampling": {"engine", "network", "text"},
    "javascript": {"engine", "network", "text"},
    "runs": {"console", "files", "network", "page", "registry", "sampling", "text"},
    "jobs": {"files", "registry", "runs"},
    "serving": {"engine", "network", "runs", "sampling", "text"},
    "compression": {"network", "registry", "runs", "sampling", "text"},
    "evaluation": {"engine", "files", "network", "page", "registry", "runs", "sampling", "text"},
    "inspection": {"engine", "network", "text"},
    "training": {
        "console",
        "engine",
        "evaluation",
        "files",
        "network",
        "page",
        "registry",
        "runs",
        "sampling",
        "text",
    },
}
"""Which rooms a room may import, besides the ground; from the ground up."""

PLUGINS_MAY_IMPORT = {
    "cells": {"network", "registry"},
    "commands": {*MAY_IMPORT, "testing"},
    "losses": set(),
    "observers": {"files", "page", "runs"},
    "optimizers": set(),
    "recipes": set(),
    "samplers": {"console", "files", "runs", "sampling", "text"},
    "sources": {"console", "files", "registry", "text"},
}
"""Which rooms the built-in plugins need, besides the modules at the root that authors import."""

ONLY_IN = {
    "joblib": {"jobs.parallel"},
    "pluggy": {"registry.hookspecs", "registry.offers"},
    "msgpack": {"files.checkpoint"},
    "click": set(),
    "plotille": {"console.curve"},
    "rich": {"console.bar"},
    "safetensors": {"files.tensors"},
    "urllib3": {"download", "addresses"},
}


def imported(path: Path) -> set[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def core_modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def name_of(path: Path) -> str:
    """How this page calls a core module: ``"errors"``, ``"testing.kit"``."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts)


def room_of(name: str) -> str:
    """The room of a core module: a folder, or ``"ground"`` or ``"roof"`` for those at the root."""
    first, dot, _ = name.partition(".")
    return first if dot else "ground" if first in GROUND else "roof"


def imported_modules(path: Path) -> set[str]:
    """The core modules that a file imports, as `name_of` calls them."""
    known = set(map(name_of, core_modules()))
    names = {name.removeprefix("charrnn_core.") for name in imported(path)}
    return {name for name in names if name in known}


def test_every_module_at_the_root_is_ground_or_roof():
    at_the_root = {path.stem for path in CORE.glob("*.py")}
    assert at_the_root == GROUND | ROOF and not GROUND & ROOF


def test_every_folder_has_a_line():
    assert {path.parent.name for path in CORE.glob("*/__init__.py")} == {*MAY_IMPORT, "testing"}


def test_no_arrow_runs_back_up():
    seen: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below <= seen, f"{room} may import {below - seen}, which come after it"
        seen.add(room)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_folder_says_what_it_may_import_and_where_to_begin(room):
    docstring = ast.get_docstring(ast.parse((CORE / room / "__init__.py").read_text())) or ""
    sentences = " ".join(docstring.split())
    below = re.search(r"May import: (.*?)\. Imported by: (.*?)\. ", sentences)
    assert below is not None and "Start reading with" in sentences
    above = {other for other, may in MAY_IMPORT.items() if room in may}
    assert set(re.findall(r"`(\w+)`", below[1])) == MAY_IMPORT[room]
    assert set(re.findall(r"`(\w+)`", below[2])) == above | {"testing"}


def test_the_map_has_a_line_for_each_folder():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for room in (*MAY_IMPORT, "testing"):
        assert re.search(rf"^  {room}/ ", text, re.MULTILINE), room


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_rooms_import_what_they_may(path):
    room = room_of(name_of(path))
    rooms = {room_of(name) for name in imported_modules(path)} - {room}
    if room == "ground":
        assert not rooms
    elif room in MAY_IMPORT:
        assert rooms <= MAY_IMPORT[room] | {"ground"}
    elif room == "roof":
        assert "testing" not in rooms
    for name in imported(path):
        package = name.partition(".")[0]
        if path.stem != "__main__":
            assert package == "charrnn_core" or not re.match(r"charrnn(_|$)", package), name
        if package in ONLY_IN:
            assert name_of(path) in ONLY_IN[package], f"{path} imports {package}"


def test_no_circle():
    arrows = {name_of(path): imported_modules(path) for path in core_modules()}
    graphlib.TopologicalSorter(arrows).prepare()


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "plugins").glob("*/*/*.py")),
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_plugins_know_the_core_alone(path):
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package.startswith("charrnn"):
            assert package in ("charrnn_core", path.parent.name), f"{path} imports {name}"
        if package == "charrnn_core" and rest.partition(".")[0] in {*MAY_IMPORT, "testing"}:
            assert rest.partition(".")[0] in PLUGINS_MAY_IMPORT[path.parent.parent.name]
        assert package != "click" or path.stem == "command"


def test_registration_modules_are_light():
    for path in (ROOT / "plugins").glob("*/*/__init__.py"):
        assert {name.partition(".")[0] for name in imported(path)} <= {
            "dataclasses", "typing", "charrnn_core",
        }, path  # fmt: skip


def prints(node: ast.AST) -> bool:
    """Whether a part of a program writes to a standard stream itself, or lets rich do so."""
    if isinstance(node, ast.Attribute):
        writes = r"click\.\w*echo\w*|.*sys\.std(out|err)\.(buffer|write|writelines)"
        return bool(re.fullmatch(writes, ast.unparse(node)))
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    file = next((ast.unparse(k.value) for k in node.keywords if k.arg == "file"), "")
    return called == "print" or called == "Console" and not file.startswith("outlet(")


@pytest.mark.parametrize(
    "code, found",
    [
        ("print(1)", True),
        ("click.echo('a')", True),
        ("sys.stdout.buffer.write(b'a')", True),
        ("Console(stderr=True)", True),
        ("Console(file=outlet(err=True)).print(1)", False),
        ("say('a')", False),
    ],
)
def test_what_prints_is_recognised(code, found):
    assert any(map(prints, ast.walk(ast.parse(code)))) == found


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*core_modules(), *sorted(ROOT.glob("plugins/*/*/*.py")), ROOT / "cli.py"]
        if path != CORE / "terminal.py"
    ],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_text_leaves_through_one_module(path):
    """What is printed elsewhere is neither escaped nor survives a terminal that went away."""
    found = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if prints(node)]
    assert not found, f"{path}: use say, say_json, emit or outlet of charrnn_core.terminal"


def test_files_are_read_in_one_sitting():
    for path in [*core_modules(), *(ROOT / "plugins").glob("*/*/*.py"), ROOT / "cli.py"]:
        assert len(path.read_text().splitlines()) <= 320, path
