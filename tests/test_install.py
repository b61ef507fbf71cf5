"""charrnn install and uninstall, in an environment of their own."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from charrnn_install import pip
from charrnn_install.distributions import Offer, find

from charrnn_core.errors import AmbiguousNameError, PluginError, UnknownNameError
from tests.environments import Environment, wheel

CELL = """
from charrnn_core import CellPlugin, hookimpl

@hookimpl
def charrnn_cells():
    yield CellPlugin(name="{name}", target="nowhere:Nothing")
"""
OFFERS = [
    Offer("charrnn", "0.1.0", ("elman", "score")),
    Offer("charrnn-mycell", "0.1.0", ("mycell",)),
    Offer("charrnn-zoo", "2.0", ("minified", "extra", "bench")),
    Offer("Other.Zoo", "1.0", ("extra",)),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    return Environment(tmp_path_factory.mktemp("install"))


def plugin(folder: Path, name: str, version: str = "1.0", code: str = CELL) -> Path:
    """A distribution charrnn-NAME that offers the cell NAME."""
    module = f"charrnn_{name}"
    entries = f"[charrnn]\n{name} = {module}\n"
    return wheel(folder, f"charrnn-{name}", code.format(name=name), entries, version)


def done(process) -> str:
    assert process.returncode == 0, process.stderr
    return process.stdout


def last_line(process, code: int) -> str:
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    return process.stderr.splitlines()[-1]


def test_a_plugin_comes_is_replaced_and_goes(environment, tmp_path):
    said = done(environment.charrnn("install", plugin(tmp_path, "onetime")))
    assert said.endswith("available now:\n  cell  onetime  charrnn-onetime 1.0\n")
    newer = plugin(tmp_path, "onetime", "1.1")
    said = done(environment.charrnn("install", "-U", newer))
    assert said.endswith("available now:\n  cell  onetime  charrnn-onetime 1.1\n")
    assert "nothing new is available" in done(environment.charrnn("install", newer))
    assert "charrnn-onetime" in done(environment.charrnn("plugins"))
    done(environment.charrnn("uninstall", "-y", "onetime"))
    assert "charrnn-onetime" not in done(environment.charrnn("plugins"))


@pytest.mark.slow
def test_a_command_is_a_plugin_too(environment, tmp_path):
    entries = "[charrnn.commands]\nhello = charrnn_hello:hello\n"
    code = "import click\nhello = click.Command('hello', callback=lambda: print('ho'))\n"
    said = done(environment.charrnn("install", wheel(tmp_path, "charrnn-hello", code, entries)))
    assert said.endswith("available now:\n  command  hello  charrnn-hello 1.0\n")
    assert done(environment.charrnn("hello")) == "ho\n"
    assert "Remove charrnn-hello 1.0?" in environment.charrnn("uninstall", "hello").stdout
    done(environment.charrnn("uninstall", "hello", stdin="y\n"))
    refused = "Error: no command named 'hello'; charrnn --help lists them"
    assert last_line(environment.charrnn("hello"), 2) == refused


def test_who_says_no_keeps_it(environment, tmp_path):
    done(environment.charrnn("install", plugin(tmp_path, "kept")))
    assert last_line(environment.charrnn("uninstall", "kept", stdin="n\n"), 1) == "Aborted!"
    assert "charrnn-kept" in done(environment.charrnn("plugins"))


@pytest.mark.parametrize(
    "code, status",
    [
        ("raise RuntimeError('{name} lacks a library')", "failed: RuntimeError: broken lacks a"),
        ("import os; os._exit(7)  # {name}", "charrnn plugins fails: exit code 7"),
        ("print('{name}'); raise SystemExit(3)", "failed: SystemExit: 3"),
    ],
    ids=["raises", "kills", "exits"],
)
def test_a_broken_plugin_is_told_and_can_be_removed(environment, tmp_path, code, status):
    process = environment.charrnn("install", plugin(tmp_path, "broken", code=code))
    assert status in process.stderr.splitlines()[-1]
    done(environment.charrnn("uninstall", "-y", "charrnn_broken"))
    assert "broken" not in done(environment.charrnn("plugins"))


@pytest.mark.slow
def test_what_is_no_plugin_is_told_and_stays(environment, tmp_path):
    process = environment.charrnn("install", wheel(tmp_path, "innocent", ""))
    warning = "Warning: innocent 1.0 is installed, but is not a charrnn plugin"
    assert "nothing new is available" in done(process)
    assert last_line(process, 0) == warning
    line = last_line(environment.charrnn("uninstall", "-y", "innocent"), 2)
    assert line.startswith("Error: no plugin distribution named 'innocent'")
    assert "innocent 1.0 is installed, but has no entry point in the group charrnn or" in line
    done(environment.run("-c", "import innocent"))


def test_pip_says_why_it_fails(environment):
    process = environment.charrnn("install", "charrnn-that-is-nowhere")
    assert "No matching distribution" in process.stderr
    assert last_line(process, 1).startswith("Error: pip install failed with exit code 1")


def test_what_lies_elsewhere_is_not_said_to_be_removed(environment, tmp_path):
    shutil.unpack_archive(plugin(tmp_path, "elsewhere"), tmp_path / "site", "zip")
    path = {"PYTHONPATH": str(tmp_path / "site")}
    process = environment.charrnn("uninstall", "-y", "elsewhere", env=path)
    assert last_line(process, 1).startswith("Error: charrnn-elsewhere 1.0 can still be found")


def test_nothing_to_install(environment):
    line = last_line(environment.charrnn("install"), 2)
    assert line == "Error: nothing to install; expected PACKAGES or -e DIR"


def test_without_pip_it_says_what_to_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/uv")
    uv = f"run uv pip install --python {sys.executable} -- 'a b'$"
    with pytest.raises(PluginError, match=uv):
        pip.install(["--", "a b"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PluginError, match=f"run {sys.executable} -m ensurepip and then"):
        pip.uninstall(["charrnn-mycell"])


@pytest.mark.parametrize(
    "name, distribution",
    [
        ("mycell", "charrnn-mycell"),
        ("charrnn_mycell", "charrnn-mycell"),
        ("MINIFIED", "charrnn-zoo"),
        ("zoo", "charrnn-zoo"),
        ("other-zoo", "Other.Zoo"),
    ],
)
def test_a_distribution_is_found_by_its_name_and_its_plugins(name, distribution):
    assert find(name, OFFERS).name == distribution


@pytest.mark.parametrize(
    "name, reason",
    [
        ("charrnn", "charrnn is not a plugin; uninstall it with pip"),
        ("elman", "'elman' is built into charrnn and cannot be uninstalled"),
        ("pytest", "is installed, but has no entry point in the group charrnn or charrnn.comm"),
        ("charrnn-mycel", r"\(did you mean 'charrnn-mycell'\?\); available: Other.Zoo, charrnn-m"),
        ("", "no plugin distribution named ''"),
    ],
)
def test_what_is_no_plugin_is_refused(name, reason):
    with pytest.raises(UnknownNameError, match=reason):
        find(name, OFFERS)


def test_a_name_that_two_offer_is_refused():
    with pytest.raises(AmbiguousNameError, match="in charrnn-zoo 2.0 and in Other.Zoo 1.0; name"):
        find("extra", OFFERS)
