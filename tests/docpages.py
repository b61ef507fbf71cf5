"""The pages of the documentation, and somebody who follows one to the letter.

A block of a page is a file (it has a title), a program, commands, or TOML. Above it may stand
``<!-- not run: REASON -->``, or ``<!-- slow: REASON -->`` where only the slow tests run it.
"""

import contextlib
import doctest
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from tests.commands import in_process
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
HOOKS = sorted((DOCS / "hooks").glob("*.md"))

_FENCE = re.compile(r"(?P<fence>`{3,})(?:\{(?P<directive>[\w-]+)\} ?)?(?P<argument>.*)")
_OPTION = re.compile(r":(?P<key>[\w-]+):(?P<value>.*)")
_MARK = re.compile(r"<!-- (?P<what>not run|slow): (?P<why>.{10,}) -->")
_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
_TINY = "--characters 3000 --batch 4 --window 16 --eval-characters 2000 --sample-length 20"
_SHELL = re.compile(r"[|<>&;$*`~\\]")
_BUDGET = re.compile(r"--budget \S+")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Arguments:
        place: the page and the line.
        language: ``python``, ``toml``, ``console``, ``text``, or a directive of Sphinx.
        title: the name of the file it is; empty if it is none.
        not_run, slow: the reason; empty if it is run.
    """

    place: str
    language: str
    title: str
    text: str
    not_run: str = ""
    slow: str = ""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found, lines, mark = [], iter(enumerate(page.read_text().splitlines(), start=1)), None
    for number, line in lines:
        if fence := _FENCE.fullmatch(line):
            inside = _until(lines, fence["fence"])
            options = {}
            while fence["directive"] and inside and (option := _OPTION.match(inside[0])):
                options[option["key"]] = option["value"].strip()
                inside.pop(0)
            code = fence["directive"] in (None, "code-block")
            language = fence["argument"] if code else fence["directive"]
            title = options.get("caption", "") if code else ""
            marked = {mark["what"].replace(" ", "_"): mark["why"]} if mark else {}
            text = "\n".join(inside).strip("\n") + "\n"
            place = f"{page.relative_to(DOCS)}:{number}"
            found.append(Block(place, language, title, text, **marked))
        mark = _MARK.fullmatch(line)
    return found


def _until(lines: Iterator[tuple[int, str]], fence: str) -> list[str]:
    inside = []
    for _, line in lines:
        if line == fence:
            return inside
        inside.append(line)
    raise AssertionError(f"a block of {inside[:1]} does not end")


def marks(page: Path) -> int:
    """How many comments of a page look like marks."""
    return len(re.findall("<!--", page.read_text()))


def commands(block: Block) -> list[tuple[str, str]]:
    """What is typed in a block, and what the page shows below it."""
    typed: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            typed.append([line[2:], ""])
        else:
            assert typed, f"{block.place} begins with {line!r} and not with a command"
            typed[-1][1] += line + "\n"
    return [(command, shown) for command, shown in typed]


_CHOSEN = re.compile(r"^note: model from .*\n", re.MULTILINE)


def agrees(shown: str, got: str) -> bool:
    """Whether an output is as a page shows it, whatever its numbers are; ``...`` is anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    want, got = (_NUMBER.sub("0", text) for text in (shown, got))
    return doctest.OutputChecker().check_output(want, got, flags)


def shortened(command: str) -> str:
    """The same command with a tiny budget."""
    if command.startswith("charrnn run "):
        return f"{command} {_TINY}"
    if command.startswith("charrnn bench "):
        return _BUDGET.sub("--budget chars=3000", command)
    return command


class Reader:
    """Somebody who follows a page: writes its files, runs its programs, types its commands.

    Arguments:
        home: their directory.
        python: their Python, which has charrnn.
        environ: their environment.
        hasty: trains for a moment, and links plugins instead of having pip install them.
    """

    def __init__(
        self, home: Path, python: Path | str, environ: Mapping[str, str], hasty: bool
    ) -> None:
        self.home, self.hasty = home, hasty
        self._python, self._names = str(python), dict[str, Any]()
        tools = {"charrnn": "charrnn_core", "pip": "pip", "pytest": "pytest"}
        binaries = home / ".bin"
        binaries.mkdir(parents=True)
        for name, module in tools.items():
            self._script(binaries / name, f'exec {python} -m {module} "$@"')
        self._script(binaries / "python", f'exec {python} "$@"')
        if (program := Path(python).with_name("charrnn")).exists():
            (binaries / "charrnn").unlink()  # charrnn shows commands as its own name finds it
            (binaries / "charrnn").symlink_to(program)
        path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**environ, "PATH": path, "CHARRNN_CACHE": str(home / ".cache")}

    def _script(self, path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def follow(self, page: Path) -> None:
        """Do all that a page says, in its order."""
        for block in blocks(page):
            if block.not_run or (block.slow and self.hasty):
                continue
            if block.language == "toml":
                tomllib.loads(block.text)
            if block.title:
                file = self.home / block.title
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            elif block.language == "python":
                self._program(block)
            elif block.language == "console":
                for command, shown in commands(block):
                    self._type(command, shown, block.place)

    def _program(self, block: Block) -> None:
        if not self.hasty:
            done = self._run([self._python, "-c", block.text])
            assert done.returncode == 0, f"{block.place}: {done.stdout}"
            return
        program = compile(block.text, block.place, "exec")
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.chdir(self.home))
            stack.enter_context(jax.numpy_rank_promotion("allow"))
            stack.enter_context(jax.numpy_dtype_promotion("standard"))
            exec(program, self._names)

    def _type(self, command: str, shown: str, place: str) -> None:
        if self.hasty and command.startswith("pip install -e "):
            self._link(self.home / command.removeprefix("pip install -e "))
            return
        done = self._charrnn(shortened(command)) if self.hasty else None
        done = done or self._run(["bash", "-c", shortened(command) if self.hasty else command])
        said = f"{place}: {command}\n{done.stdout}"
        refused = any(line.startswith("Error: ") for line in shown.splitlines())
        assert bool(done.returncode) == refused, said
        # Of a moment's training the last model need not be the best one.
        got = _CHOSEN.sub("", done.stdout) if self.hasty else done.stdout
        assert not shown or agrees(shown, got), f"{said}\nthe page shows\n{shown}"

    def _charrnn(self, command: str) -> subprocess.CompletedProcess[str] | None:
        """Do in this process what is charrnn's alone; None if it takes a shell."""
        first, *arguments = shlex.split(command, comments=True)
        if first != "charrnn" or _SHELL.search(command):
            return None
        mine = {k: text for k, text in self.environ.items() if os.environ.get(k) != text}
        return in_process(arguments, self.home, mine, together=True)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.home,
            env=self.environ,
        )  # fmt: skip

    def _link(self, project: Path) -> None:
        """Make a project be found as an editable installation is, without pip."""
        config = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        name, version = config["name"], config["version"]
        info = self.home / ".site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        lines = []
        for group, entries in config["entry-points"].items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        paths = [str(info.parent), str(project), *self.environ.get("PYTHONPATH", "").split(":")]
        self.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def hasty_reader(home: Path) -> Reader:
    """Somebody with this very environment and little time."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("CHARRNN_")}
    return Reader(home, sys.executable, inherited | {"CHARRNN_OFFLINE": "1"}, hasty=True)
