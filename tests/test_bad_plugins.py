"""Distributions that are not as they should be, all at once: each is named, none stops others."""

import json

import pytest

from tests.test_example_plugin import Bench, distribution, done, refusal

OFFER = (
    "from charrnn_core import CellPlugin, hookimpl\n"
    "@hookimpl\n"
    "def {hook}():\n"
    "    yield CellPlugin(name={name!r}, target='charrnn_elman.cell:ElmanCell'{more})\n"
)
MODULES = {
    "charrnn-twin-a": OFFER.format(hook="charrnn_cells", name="twin", more=""),
    "charrnn-twin-b": OFFER.format(hook="charrnn_cells", name="twin", more=""),
    "charrnn-future": OFFER.format(hook="charrnn_cells", name="future", more=", api=2"),
    "charrnn-misspelt": OFFER.format(hook="charrnn_cels", name="misspelt", more=""),
    "charrnn-heavy": "import numpy\n" + OFFER.format(hook="charrnn_cells", name="heavy", more=""),
    "charrnn-nowhere": OFFER.format(hook="charrnn_cells", name="nowhere", more="").replace(
        "charrnn_elman.cell:ElmanCell", "charrnn_elman.cell:NoSuchCell"
    ),
    "charrnn-nothing": "x = 1\n",
    "charrnn-loud": (
        "import os\n"
        "print('LOUD: imported', end='')\n"
        "os.write(1, b'LOUD: by descriptor')\n"
        + OFFER.format(hook="charrnn_cells", name="loud", more="").replace(
            "    yield", "    print('LOUD: hook')\n    yield"
        )
    ).replace("charrnn_elman.cell:ElmanCell", "charrnn_loud_cell:make"),
}
LOUD_CELL = """
import os
import flax.linen as nn
print("LOUD: target imported")
os.write(1, b"LOUD: by descriptor")

class Cell(nn.RNNCellBase):
    features: int = 6

    @nn.compact
    def __call__(self, h, x):
        print("LOUD: a step is traced")
        h = nn.tanh(nn.Dense(self.features)(h) + nn.Dense(self.features)(x))
        return h, h

def make():
    print("LOUD: a cell is built")
    return Cell()
"""
LOUD_COMMAND = """
import click
print("LOUD: a command is imported")

@click.command()
def loud():
    print("said")
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def path(bench):
    roots = [distribution(bench, name, "1.0", code) for name, code in MODULES.items()]
    missing = distribution(bench, "charrnn-missing", "1.0", "")
    (missing / "charrnn_missing.py").unlink()  # an entry point to nothing
    left = distribution(bench, "charrnn-left", "1.0", "")
    (left / "charrnn_left-1.0.dist-info" / "METADATA").write_text("")
    loud = roots[-1]
    (loud / "charrnn_loud_cell.py").write_text(LOUD_CELL)
    (loud / "charrnn_loud_command.py").write_text(LOUD_COMMAND)
    # Of its two plugins one is sound.
    with open(loud / "charrnn_loud-1.0.dist-info" / "entry_points.txt", "a") as file:
        file.write("broken = charrnn_loud_no_such_module\n")
        file.write("[charrnn.commands]\nloud = charrnn_loud_command:loud\n")
    return (*roots, missing, left)


@pytest.fixture(scope="module")
def quiet(path):
    """Without the one that prints."""
    return tuple(root for root in path if root.name != "charrnn-loud")


def test_each_is_reported(bench, path):
    rows = json.loads(done(bench.process("plugins", "--json", path=path)))
    status = {row["distribution"]: row["status"] for row in rows if row["version"] == "1.0"}
    assert status["charrnn-twin-a"] == "ambiguous: also offered by charrnn-twin-b"
    assert status["charrnn-twin-b"] == "ambiguous: also offered by charrnn-twin-a"
    assert "needs plugin API 2; this charrnn has 1: upgrade" in status["charrnn-future"]
    assert "'charrnn_cels' (did you mean 'charrnn_cells'?)" in status["charrnn-misspelt"]
    assert status["charrnn-heavy"] == "slow: its registration imports numpy"
    assert status["charrnn-missing"].startswith("failed: ModuleNotFoundError: No module named")
    assert status["charrnn-nowhere"] == "ok"  # its target is looked for when it is used
    assert "it offers nothing: no function in it is marked" in status["charrnn-nothing"]
    loud = {row["name"]: row["status"] for row in rows if row["distribution"] == "charrnn-loud"}
    assert loud["loud"] == "ok" and "No module named 'charrnn_loud_no" in loud["broken"]
    [left] = [row for row in rows if row["distribution"] == "charrnn_left"]
    assert str(bench.root / "charrnn-left" / "charrnn_left-1.0.dist-info") in left["status"]


@pytest.mark.parametrize(
    "cell, code, message",
    [
        ("twin", 2, "charrnn-twin-a/twin, charrnn-twin-b/twin"),
        ("future", 2, "plugin 'charrnn_future' of charrnn-future 1.0 failed to load"),
        ("missing", 2, "plugin 'charrnn_missing' of charrnn-missing 1.0 failed to load"),
        ("nowhere", 1, "it comes from charrnn-nowhere 1.0"),
    ],
)
def test_what_needs_one_is_refused_in_a_line(bench, quiet, cell, code, message):
    source = f"file:{bench.text}"
    assert message in refusal(
        bench.charrnn("run", "--cell", cell, "--source", source, path=quiet), code
    )


@pytest.mark.slow
def test_what_prints_and_is_half_broken_is_used_to_the_end(bench, path):
    """Trained, sampled from and evaluated; standard output holds what was asked for."""
    run = str(bench.train("beside", "--cell", "loud", path=path))
    written = done(bench.charrnn("sample", run, "--prompt", "the ", "--length", "20", path=path))
    assert written.startswith("the ")
    evaluated = bench.charrnn("eval", run, "--json", path=path)
    assert json.loads(done(evaluated))["bits_per_char"] > 0
    for what in ("imported", "by descriptor", "hook", "target imported", "a cell is built"):
        assert f"LOUD: {what}" in evaluated.stderr
    spoken = bench.charrnn("loud", path=path)
    assert done(spoken) == "said\n" and "LOUD: a command is imported" in spoken.stderr


def test_nothing_else_breaks(bench, path):
    timings = json.loads(done(bench.process("plugins", "--timings", "--json", path=path)))
    [heavy] = [row for row in timings if row["distribution"] == "charrnn-heavy"]
    assert heavy["imports"] == "numpy" and heavy["milliseconds"] > 0
    pins = done(bench.charrnn("plugins", "--requirements", path=path)).split("\n")
    assert {"charrnn-twin-a==1.0", "charrnn-missing==1.0"} < set(pins)
    assert "run" in done(bench.charrnn("--help", path=path))
