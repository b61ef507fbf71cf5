"""A plugin that is one Python file: named by the user, copied into the run, never run by itself."""

import json
import re

import pytest

from tests.conftest import PLAIN_OPTIONS

FILE = """
from dataclasses import dataclass

import flax.linen as nn

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class Options:
    features: int = opt(8, help="width of the hidden state", ge=1)


class Cell(nn.RNNCellBase):
    features: int

    @nn.compact
    def __call__(self, h, x):
        h = nn.tanh(nn.Dense(self.features)(h) + nn.Dense(self.features)(x))
        return h, h


@hookimpl
def charrnn_cells():
    yield CellPlugin(name="mine", target=Cell, options=Options, argument="features")
"""
SMALL = ["--characters", "3000", "--batch", "4", "--window", "16", "--quiet", *PLAIN_OPTIONS]


def line_of(process, code):
    assert process.returncode == code, process.stderr
    [line] = process.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def run(file, charrnn, text_file, tmp_path):
    """A run of such a cell, and what the command printed."""
    out = tmp_path / "run"
    done = charrnn("run", "--plugin", file, "--cell", "mine:6", "--source", text_file, *SMALL,
                   "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_a_run_keeps_a_copy_and_says_how_to_go_on(run, file, charrnn):
    out, printed = run
    copy = out / "plugins" / "mine.py"
    assert copy.read_text() == FILE
    assert f"charrnn sample {out} --length 500 --plugin {copy}" in printed
    records = json.loads(charrnn("info", out, "--json").stdout)["plugins"]
    [record] = [record for record in records if record["kind"] == "cell"]
    assert (record["distribution"], record["file"]) == ("mine.py", True)
    assert record["version"].startswith("sha256-")
    # Nothing in a run is executed unless it is named.
    assert "--plugin RUN/plugins/mine.py" in line_of(charrnn("sample", out), 1)
    written = charrnn("sample", out, "--length", 20, "--plugin", copy)
    assert written.returncode == 0 and len(written.stdout) >= 20
    again = charrnn("resume", out, "--characters", 4000, "--plugin", copy)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_file_that_has_changed_is_another_plugin(run, file, charrnn):
    out, _ = run
    file.write_text(FILE + "\n# changed\n")
    line = line_of(charrnn("resume", out, "--characters", 4000, "--plugin", file), 1)
    assert "the provider of cell 'mine' has changed" in line and "--allow-change plugins" in line
    allowed = charrnn("resume", out, "--characters", 4000, "--plugin", file,
                      "--allow-change", "plugins")  # fmt: skip
    assert allowed.returncode == 0, allowed.stderr
    assert (out / "plugins" / "mine.py").read_text().endswith("# changed\n")


def test_it_can_be_named_in_the_environment_and_is_listed(file, charrnn):
    env = {"CHARRNN_PLUGINS": str(file)}
    rows = json.loads(charrnn("plugins", "--json", "--plugin", file, env=env).stdout)
    [row] = [row for row in rows if row["name"] == "mine"]
    assert (row["distribution"], row["status"]) == ("mine.py", "ok")
    pins = charrnn("plugins", "--requirements", env=env).stdout
    assert f"# mine.py {row['version']}, a single file" in pins


def test_what_is_wrong_with_a_file_is_told(tmp_path, charrnn):
    assert "not found; expected the path of a Python module" in line_of(
        charrnn("plugins", "--plugin", tmp_path / "none.py"), 2
    )
    for code, message in (
        ("x = 1\n1 / 0", r"bad\.py:2: ZeroDivisionError: division by zero"),
        (
            "import nowhere_at_all",
            r"bad\.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
        ("x = 1", "it offers nothing: .* marked with @hookimpl; expected one of charrnn_cells, "),
        ("def f(:", r"SyntaxError: invalid syntax \(bad\.py, line 1\)"),
        (
            FILE.replace("charrnn_cells", "charrnn_cell"),
            "no hook named 'charrnn_cell' .did you mean",
        ),
    ):
        (tmp_path / "bad.py").write_text(code)
        # Also where nothing would need it.
        line = line_of(charrnn("run", "--plugin", tmp_path / "bad.py", "--out", "run"), 2)
        assert line.startswith(f"Error: plugin file '{tmp_path}/bad.py' cannot be used: ")
        assert re.search(message, line), line
