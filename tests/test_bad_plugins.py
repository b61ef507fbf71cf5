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
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def path(bench):
    roots = [distribution(bench, name, "1.0", code) for name, code in MODULES.items()]
    missing = distribution(bench, "charrnn-missing", "1.0", "")
    (missing / "charrnn_missing.py").unlink()  # an entry point to nothing
    return (*roots, missing)


def test_each_is_reported(bench, path):
    rows = json.loads(done(bench.charrnn("plugins", "--json", path=path)))
    status = {row["distribution"]: row["status"] for row in rows if row["version"] == "1.0"}
    assert status["charrnn-twin-a"] == "ambiguous: also offered by charrnn-twin-b"
    assert status["charrnn-twin-b"] == "ambiguous: also offered by charrnn-twin-a"
    assert "needs plugin API 2; this charrnn has 1: upgrade" in status["charrnn-future"]
    assert "'charrnn_cels' (did you mean 'charrnn_cells'?)" in status["charrnn-misspelt"]
    assert status["charrnn-heavy"] == "slow: its registration imports numpy"
    assert status["charrnn-missing"].startswith("failed: ModuleNotFoundError: No module named")
    assert status["charrnn-nowhere"] == "ok"  # its target is looked for when it is used


@pytest.mark.parametrize(
    "cell, code, message",
    [
        ("twin", 2, "charrnn-twin-a/twin, charrnn-twin-b/twin"),
        ("future", 2, "plugin 'charrnn_future' of charrnn-future 1.0 failed to load"),
        ("missing", 2, "plugin 'charrnn_missing' of charrnn-missing 1.0 failed to load"),
        ("nowhere", 1, "it comes from charrnn-nowhere 1.0"),
    ],
)
def test_what_needs_one_is_refused_in_a_line(bench, path, cell, code, message):
    source = f"file:{bench.text}"
    assert message in refusal(
        bench.charrnn("run", "--cell", cell, "--source", source, path=path), code
    )


def test_nothing_else_breaks(bench, path):
    run = bench.train("beside", "--cell", "elman:8", path=path)
    assert len(done(bench.charrnn("sample", str(run), "--length", "20", path=path))) > 20
    timings = json.loads(done(bench.charrnn("plugins", "--timings", "--json", path=path)))
    [heavy] = [row for row in timings if row["distribution"] == "charrnn-heavy"]
    assert heavy["imports"] == "numpy" and heavy["milliseconds"] > 0
    pins = done(bench.charrnn("plugins", "--requirements", path=path)).split()
    assert {"charrnn-twin-a==1.0", "charrnn-missing==1.0"} < set(pins)
    assert "run" in done(bench.charrnn("--help", path=path))
