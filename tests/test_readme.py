"""What the README shows is true: its plugin works, its program runs, its commands exist."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PLAIN_OPTIONS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def block(title: str) -> str:
    """The code block below a line with this file name."""
    found = re.search(
        rf"^`{re.escape(title)}`\n\n```\w+\n(.*?)^```", README, re.DOTALL | re.MULTILINE
    )
    assert found, title
    return found[1]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """The README's plugin, installed by pip into a directory of its own."""
    project = tmp_path_factory.mktemp("onegate")
    for name in ("pyproject.toml", "charrnn_onegate/__init__.py", "charrnn_onegate/cell.py"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(block(name))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", project / "site", project],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return project / "site"


def test_the_plugin_trains_alone_and_stacked(plugin, charrnn, text_file, tmp_path):
    env = {"PYTHONPATH": str(plugin)}
    rows = json.loads(charrnn("plugins", "--json", env=env).stdout)
    assert ("onegate", "charrnn-onegate", "ok") in [
        (row["name"], row["distribution"], row["status"]) for row in rows
    ]
    for cell in ("onegate:8", "stacked:onegate:8,elman:4"):
        done = charrnn("run", "--cell", cell, "--source", text_file, "--quiet",
                       "--characters", 3000, "--batch", 4, "--window", 16, *PLAIN_OPTIONS,
                       env=env)  # fmt: skip
        assert done.returncode == 0, done.stderr


def commands(title: str) -> str:
    """The code block below a line that begins so."""
    found = re.search(rf"^{re.escape(title)}.*\n\n```\n(.*?)\n```", README, re.MULTILINE)
    assert found, title
    return found[1]


def test_ci_runs_the_test_command_to_the_letter_in_an_environment_of_its_own():
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    assert lines[-1] == commands("Install it and pass the tests")
    others = [line for line in lines[:-1] if re.search(r"(?<![\w-])\.venv/", line)]
    assert others == [] and any(line.startswith("rm -rf .venv ") for line in lines)


@pytest.mark.parametrize("hasty", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_program_runs(hasty, tmp_path):
    """As it stands there; in haste with a tenth of its characters."""
    [program] = re.findall(r"## From Python\n\n```python\n(.*?)```", README, re.DOTALL)
    if hasty:
        program, numbers = re.subn(r"\d{3}_000\b", lambda number: f"{number[0]} // 10", program)
        assert numbers == 2
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "CHARRNN_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *_, bits, text = re.split(r"^(\d\.\d+)$", done.stdout, flags=re.MULTILINE)
    assert 1 < float(bits) < 4 and len(text.strip("\n")) >= 90


def test_every_command_is_in_the_readme_and_every_one_in_it_exists(charrnn):
    listed = set(re.findall(r"^  ([a-z][\w-]*)  ", charrnn("--help").stdout, re.MULTILINE))
    shown = set(re.findall(r"charrnn ([\w-]+)", README)) - {"and"}
    assert listed <= shown
    assert set(re.findall(r"^\| `charrnn ([\w-]+)", README, re.MULTILINE)) == listed


def test_options_in_the_readme_exist(charrnn):
    commands = re.findall(r"^\| `charrnn ([\w-]+)", README, re.MULTILINE)
    help_texts = "".join(charrnn(command, "--help").stdout for command in set(commands))
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {"--no-deps"}:
        assert option in help_texts, option


def test_it_opens_with_a_picture_that_needs_nothing_else():
    alt, path = re.search(r"^# charrnn\n\n!\[(.+)\]\((.+)\)\n", README).groups()
    picture = (ROOT / path).read_text()
    assert len(alt) > 40 and len(picture) < 40_000
    assert not re.search(r"<script|https?:(?!//www\.w3\.org/2000/svg)|url\(", picture)
