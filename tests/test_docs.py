"""The documentation is complete, builds without a warning, and what it shows works."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from charrnn.cli import cli

import charrnn_core
from charrnn_core import RunConfig, testing, train
from charrnn_core.registry.descriptors import HOOKS as HOOK_NAMES
from charrnn_core.registry.descriptors import KINDS
from tests.conftest import ROOT, SHARED
from tests.docpages import DOCS, HOOKS, PAGES, Reader, agrees, blocks, hasty_reader, marks
from tests.environments import Environment

LANGUAGES = {"console", "python", "text", "toml"}
DIRECTIVES = {"eval-rst", "literalinclude", "toctree"}


def command_names() -> set[str]:
    """The commands there are, those of plugins included."""
    return set(cli.list_commands(click.Context(cli)))


def name(page: Path) -> str:
    return str(page.relative_to(DOCS))


def patient(page: Path) -> Any:
    """A page as a test's parameter; those that take half a minute are marked slow."""
    long = page.stem in ("tutorial", "teachers")
    return pytest.param(page, marks=[pytest.mark.slow] if long else [])


# --- nothing is missing ---


@pytest.mark.parametrize("hook", HOOK_NAMES)
def test_every_hook_has_its_page(hook):
    text = (DOCS / "hooks" / f"{hook.removeprefix('charrnn_')}.md").read_text()
    assert f"Hook: `{hook}`" in text
    assert f"def {hook}():" in text


def test_the_hooks_of_the_pages_exist():
    named = {
        found for page in PAGES for found in re.findall(r"\bcharrnn_\w+s\(\)", page.read_text())
    }
    assert {found.removesuffix("()") for found in named} <= set(HOOK_NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_of_a_kit_is_explained(kind):
    text = (DOCS / "hooks" / f"{KINDS[kind].plural()}.md").read_text()
    section = text[text.index("## What the kit checks") : text.index("## Common mistakes")]
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE) == list(testing.checks(kind))


@pytest.mark.parametrize("page", HOOKS, ids=name)
def test_every_plugin_is_complete(page):
    """Its files are a pyproject.toml, a light module, and an implementation where there is one."""
    files = {block.title: block.text for block in blocks(page) if block.title}
    [config] = [tomllib.loads(text) for title, text in files.items() if title.endswith(".toml")]
    [package] = config["tool"]["setuptools"]["packages"]
    assert {Path(title).parts[1] for title in files} == {"pyproject.toml", package}
    assert len(files) == (2 if page.stem == "recipes" else 3)
    for title, text in files.items():
        assert max(map(len, text.splitlines())) <= 100, title


def test_every_command_is_on_the_page_of_commands():
    shown = set(re.findall(r"`charrnn ([a-z][a-z-]*)`", (DOCS / "cli.md").read_text()))
    assert shown == command_names()


@pytest.mark.parametrize("module", [charrnn_core, testing], ids=lambda module: module.__name__)
def test_every_public_name_is_documented(module):
    text = (DOCS / "api.md").read_text()
    for public in module.__all__:
        assert re.search(rf"(:: |^ +)(charrnn_core\.)?{public}\b", text, re.MULTILINE), public


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_are_of_a_kind_that_is_tried(page):
    found = blocks(page)
    for block in found:
        assert block.language in LANGUAGES | DIRECTIVES, block.place
    # A comment that is misspelt, or not right above its block, would mark nothing.
    assert marks(page) == sum(bool(block.not_run or block.slow) for block in found)


def test_outputs_are_compared():
    assert agrees("held-out 1.5 nats\n...\nrun runs/a\n", "held-out 2 nats\nso\nrun  runs/a\n")
    assert not agrees("held-out 1.5 nats\n", "held-out 1.5 bits\n")


# --- the site ---


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as CI builds it."""
    pytest.importorskip("sphinx", reason="pip install 'charrnn[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "docs", out / "html"]
    done = subprocess.run(
        [*command, "-d", out / "doctrees"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_the_site_has_every_command_with_its_options(site):
    text = (site / "cli.html").read_text()
    for command in command_names():
        assert f'id="charrnn-{command}"' in text, command
    assert text.count('id="cmdoption-charrnn-bench-plugin"') == 1


def test_the_site_has_every_public_name(site):
    text = (site / "api.html").read_text()
    for module in (charrnn_core, testing):
        for public in module.__all__:
            assert f'id="{module.__name__}.{public}"' in text, public


# --- what it shows works ---


@pytest.fixture(scope="module")
def run(tmp_path_factory, text_file) -> Path:
    """What stands for RUN on the pages."""
    out = tmp_path_factory.mktemp("run") / "RUN"
    config = RunConfig(
        source=str(text_file), cell="elman:8", characters=3000, batch=4, window=16, observers=()
    )
    train(config, out=out)
    return out


@pytest.mark.parametrize("page", [patient(page) for page in PAGES], ids=name)
def test_what_a_page_shows_works(page, run, tmp_path, monkeypatch, small_text):
    reader = hasty_reader(tmp_path / "home")
    if "gutenberg:520" in "".join(b.text for b in blocks(page) if b.language == "console"):
        if not (SHARED / "gutenberg").is_dir():
            pytest.skip("../shared/gutenberg is absent")
        reader.environ["CHARRNN_GUTENBERG_MIRROR"] = str(SHARED / "gutenberg")
    for key in ("CHARRNN_CACHE", "CHARRNN_OFFLINE", "CHARRNN_GUTENBERG_MIRROR"):
        if key in reader.environ:
            monkeypatch.setenv(key, reader.environ[key])
    shutil.copytree(run, reader.home / "RUN")
    (reader.home / "other.txt").write_text(small_text[:2000] + "\N{SNOWMAN}")
    reader.follow(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*HOOKS, DOCS / "tutorial.md"], ids=name)
def test_a_page_can_be_followed_to_the_letter(page, tmp_path):
    """In an environment with charrnn alone, by pip, and with trainings as long as it says."""
    environment = Environment(tmp_path)
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("CHARRNN_", "PIP_", "PYTHONPATH"))
    }
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "CHARRNN_OFFLINE": "1"}
    Reader(tmp_path / "home", environment.python, inherited | offline, hasty=False).follow(page)
