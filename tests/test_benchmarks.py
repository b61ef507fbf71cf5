"""Every script in ``benchmarks/`` gives its table, at sizes that measure nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_core import RunConfig, train

ROOT = Path(__file__).resolve().parent.parent
SIDES = {"machine.py", "peak.py", "jax_side.py", "task.py", "torch_side.py", "turns.py"}
TINY = ("--streams", "2", "--hidden", "4", "--window", "8", "--rounds", "1")


def benchmark(name: str, *arguments: object) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / name, *map(str, arguments)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "CHARRNN_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "sides",
    [
        "engine",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("scan,sharded-scan", "linen,nnx")),
    ],
)
def test_unroll(sides):
    printed = benchmark("unroll.py", "--cells", "gru", "--sides", sides, "--json", *TINY)
    row = json.loads(printed.splitlines()[0])
    assert list(row["speeds"]) == sides.split(",") and row["gflops"] > 0
    assert all(speed > 0 for [speed] in row["speeds"].values())


def test_unroll_against_pytorch():
    pytest.importorskip("torch")
    printed = benchmark("unroll.py", "--cells", "lstm", "--sides", "torch,engine", *TINY)
    assert "| lstm | 4 | 2 |" in printed


def test_notebook(text_file):
    sizes = ("--rounds", 1, "--seconds", 0.1)
    row = json.loads(benchmark("notebook.py", "--source", text_file, *sizes, "--json"))
    assert row["ratio"] > 0


@pytest.mark.slow
def test_sampling():
    printed = benchmark("sampling.py", "--cell", "elman:4", "--length", 64, "--rounds", 1)
    assert "| 1 | " in printed and "| 64 | " in printed


def test_cells(text_file, tmp_path):
    sizes = ("--cell", "elman", "--params", "2k", "--minutes", 0.07, "--out", tmp_path / "runs")
    row = json.loads(benchmark("cells.py", "--source", text_file, *sizes, "--json").split("\n")[0])
    assert row["cell"] == "elman"
    for context in (0, 6):
        bits, last = (
            row[f"{key}, small, context {context}"] for key in ("bits", "bits of the last")
        )
        assert 0 < bits <= last < 8


def test_texts(tmp_path):
    """Those that need no package: the others are fetched."""
    table = benchmark("texts.py", "--out", tmp_path, "python-docs", "stdlib")
    docs, code = (tmp_path / f"{name}.txt" for name in ("python-docs", "stdlib"))
    assert f"| python-docs | {len(docs.read_text('utf-8')):,} | " in table
    assert 5_000_000 < len(code.read_text("utf-8")) <= 10_000_000


def test_regularisation(text_file, tmp_path):
    """A second time nothing is trained; the fixed setting that is nearest gives the difference."""
    options = ("--cells", "elman", "--features", 4, "--characters", 9000, "--settings")
    command = ("regularisation.py", text_file, "--out", tmp_path / "out.jsonl", *options)
    first = benchmark(*command, "auto", "0 / 0 / 0")
    again = benchmark(*command, "auto", "0 / 0 / 0")
    rows = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(rows) == 2 and len(json.loads(rows[0])["nats"]) == 5
    rows = [line for line in first.splitlines() if line.startswith("| small | elman | 9,000 | ")]
    assert len(rows) == 2 and rows[0] != rows[1]  # mixed with counts, and alone
    assert all(row in again and row.count("|") == 8 for row in rows)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory, text_file) -> Path:
    config = RunConfig(
        source=str(text_file), cell="gru:8", embedding=4, context=2, counts=2, characters=3000,
        batch=4, window=8, observers=(), shards=1,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("benchmarked") / "run"
    train(config, out=out, note=lambda line: None)
    return out


@pytest.mark.slow
def test_transfer(text_file, tmp_path):
    (tmp_path / "second.txt").write_text("Ann hears 7 dogs; Dee finds 9!\n" * 100)
    sizes = ("--cell", "elman:4", "--characters", 4000, "--updates", 2, "--every", 1)
    pair = f"{text_file}:{tmp_path / 'second.txt'}"
    result = json.loads(benchmark("transfer.py", pair, *sizes, "--json"))
    assert list(result["scratch"]) == list(result["from the first"]) == ["0", "1", "2"]
    assert 0 < result["known"] < result["symbols"] and len(result["old text"]) == 2


@pytest.mark.slow
def test_tuning(text_file, tmp_path):
    settings = tmp_path / "small.toml"
    settings.write_text('cell = "elman:4"\ncontext = 0\ncounts = 0\nbatch = 4\nwindow = 8\n')
    quick = (f"--run=--config {settings} --chars 9k", f"--tune=--config {settings} --trials 3")
    sizes = ("--budget", "chars=9k", "--out", tmp_path / "tunings", "--json")
    result = json.loads(benchmark("tuning.py", text_file, *quick, *sizes))
    assert result["winner"].keys() >= {"cell", "dropout", "learning_rate"}
    assert "window" not in result["winner"]  # which the file fixes
    assert 0 < result["updates"] < result["trainings"] < 1


@pytest.mark.slow
def test_serving(small_run):
    printed = benchmark("serving.py", small_run, "--length", 20, "--rounds", 1)
    assert "| one request | 32 requests |" in printed and " ms |" in printed


@pytest.mark.slow
def test_compression(small_run, text_file):
    printed = benchmark(
        "compression.py", "--run", small_run, text_file, "--rounds", 1, "--adaptive", text_file
    )
    assert printed.count(f"| {text_file.name} | ") == 2 and " (adaptive, " in printed
    assert "| bytes | the model says | more |" in printed


@pytest.mark.slow
def test_alphabets():
    printed = benchmark("alphabets.py", "--symbols", 20, "--length", 8, "--rounds", 1)
    assert "| 20 | typical:0.9 |" in printed and "| 20 | training |" in printed


@pytest.mark.slow
def test_forecast(text_file):
    printed = benchmark("forecast.py", "--texts", text_file, "--cells", "elman:8", "--chars", 50000)
    assert f"| {text_file.stem} | elman:8 | " in printed


@pytest.mark.slow
def test_pages(small_run, text_file):
    pytest.importorskip("playwright")
    if not shutil.which("chromium-headless-shell"):
        pytest.skip("there is no chromium-headless-shell")
    printed = benchmark("pages.py", small_run, text_file)
    assert "recoloured in" in printed and "Done: 5000 characters" in printed


@pytest.mark.slow
def test_processes():
    sizes = ("--hidden", 4, "--updates", 8, "--rounds", 1, "--hosts", 8, "--gigabits", 10)
    printed = benchmark("processes.py", *sizes)
    assert "| 4 | 0.0" in printed and re.search(r"\| 8 \| 10 \| \d+% \| \d+% \|", printed)


def test_no_script_is_left_out():
    here = {name.removeprefix("test_") + ".py" for name in globals() if name.startswith("test_")}
    assert {path.name for path in (ROOT / "benchmarks").glob("*.py")} - SIDES <= here
