"""Commands that charrnn shows work as they are pasted."""

import sys
from pathlib import Path

import pytest

from charrnn_core.console import program


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """A virtual environment's programs, in the directory where the user is."""
    scripts = tmp_path / "my env" / "bin"
    scripts.mkdir(parents=True)
    for name in ("python", "charrnn"):
        (scripts / name).write_text("")
        (scripts / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", "")
    program._program.cache_clear()
    yield scripts
    program._program.cache_clear()


def test_on_the_path_it_is_charrnn(environment, monkeypatch):
    monkeypatch.setenv("PATH", str(environment))
    assert program.command("eval", "a b") == "charrnn eval 'a b'"


def test_a_link_on_the_path_is_charrnn_too(environment, monkeypatch, tmp_path):
    (tmp_path / "charrnn").symlink_to(environment / "charrnn")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program.command("eval", "a") == "charrnn eval a"


def test_elsewhere_it_is_a_path_from_here(environment):
    assert program.command("eval", "a") == "'my env/bin/charrnn' eval a"


def test_another_one_on_the_path_is_not_it(environment, monkeypatch, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "charrnn").write_text("")
    (other / "charrnn").chmod(0o755)
    monkeypatch.setenv("PATH", str(other))
    monkeypatch.chdir(other)
    assert program.command("info", "r") == f"'{environment}/charrnn' info r"


def test_without_a_script_it_is_a_module_of_python(environment):
    (environment / "charrnn").unlink()
    assert program.command("info", "r") == f"'{environment}/python' -m charrnn_core info r"
