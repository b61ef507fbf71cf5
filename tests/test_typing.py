"""A user's program passes type checkers: charrnn ships its types, and they say what it takes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_core import Ref, RunConfig
from tests.conftest import ROOT

GOOD = """
from charrnn_core import CellPlugin, RecipePlugin, Ref, RunConfig, hookimpl

config = RunConfig(cell="elman:64", epochs=3, sampler="top-p:0.9,temperature:0.7")
more = RunConfig(
    source="gutenberg:520",
    cell=Ref("elman", "64"),
    optimizer={"use": "adam", "learning_rate": 1e-3},
    sampler=[Ref("temperature", "0.5"), {"use": "top-k", "k": 5}],
    observers=(),
)
width: str | None = config.cell.argument
uses: list[str] = [sampler.use for sampler in more.sampler]


@hookimpl
def charrnn_recipes():
    yield RecipePlugin(name="mine", settings={"cell": "elman:64"})
    yield CellPlugin(name="mine", target="mine.cell:Mine")
"""
WRONG = """
from charrnn_core import RunConfig

RunConfig(cell=3)
RunConfig(cel="elman")
RunConfig(epochs="three")
config = RunConfig()
number: int = config.cell
config.batch = 3
"""


def errors(checker: str, program: Path) -> set[int]:
    """The lines of a program in which a type checker finds errors."""
    if not (command := shutil.which(checker, path=Path(sys.executable).parent)):
        pytest.skip(f"{checker} is not installed")
    if checker == "pyright":
        # pyright cannot follow an editable installation of charrnn (setuptools #3518).
        config = program.with_name("pyrightconfig.json")
        config.write_text(json.dumps({"extraPaths": [str(ROOT)], "include": [program.name]}))
        arguments, environ = ["--pythonpath", sys.executable], None
    else:
        arguments = ["--python-executable", sys.executable, "--follow-imports=silent"]
        arguments += [f"--cache-dir={program.with_name('cache')}", "--strict-optional"]
        environ = {"MYPYPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)}
        arguments.append(str(program))
    done = subprocess.run(
        [command, *arguments], cwd=program.parent, capture_output=True, text=True, env=environ
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {int(n) for n in re.findall(rf"{program.name}:(\d+).*error", done.stdout)}


@pytest.mark.parametrize("checker", ["pyright", "mypy"])
def test_a_users_program(checker, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(GOOD)
    assert errors(checker, program) == set()
    program.write_text(WRONG)
    assert errors(checker, program) == {4, 5, 6, 8, 9}


def test_what_type_checkers_are_told_is_so():
    config = RunConfig(cell="elman:64", sampler="top-p:0.9,greedy")
    assert config.cell == Ref("elman", "64") and isinstance(config.cell, Ref)
    assert isinstance(config.sampler, tuple)
    assert all(isinstance(sampler, Ref) for sampler in config.sampler)
