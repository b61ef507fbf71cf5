"""A plugin from outside: examples/charrnn-irnn, installed by pip and used from the command line."""

import doctest
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import as_cell
from charrnn_core.engine.unroll import unroll
from tests.commands import in_process
from tests.conftest import PLAIN_OPTIONS

EXAMPLE = Path(__file__).parents[1] / "examples" / "charrnn-irnn"
SMALL = ["--characters", "4000", "--batch", "4", "--window", "16", "--quiet", *PLAIN_OPTIONS]


# --- the installed distribution, through the command line ---


class Bench:
    """A directory to work in, with the example installed beside it and a text to learn."""

    def __init__(self, root: Path) -> None:
        self.root, self.site = root, root / "site"
        self.text = root / "text.txt"
        self.text.write_text("the rain in spain stays mainly in the plain.\n" * 120)

    def install(self, *projects: Path) -> None:
        """Install distributions into `site`, from copies: a checkout gets no build directory."""
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        copies = [shutil.copytree(p, self.root / p.name, ignore=ignored) for p in projects]
        process = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation",
             "--no-index", "--quiet", "--disable-pip-version-check", "--target", self.site,
             *copies], capture_output=True, text=True,
        )  # fmt: skip
        assert process.returncode == 0, f"is 'charrnn[test]' installed?\n{process.stderr}"

    def charrnn(self, *arguments: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess:
        """Run ``charrnn`` in this process, with these directories added to its path."""
        return in_process(arguments, self.root, self._environment(path))

    def process(self, *arguments: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess:
        """Run ``charrnn`` in a process of its own, where nothing has been imported yet."""
        return subprocess.run(
            [sys.executable, "-m", "charrnn_core", *arguments],
            env={**os.environ, **self._environment(path)}, cwd=self.root,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def _environment(self, path: tuple[Path, ...]) -> dict[str, str]:
        paths = os.pathsep.join(map(str, path))
        return {"CHARRNN_CACHE": str(self.root / "cache"), "PYTHONPATH": paths}

    def train(self, name: str, *arguments: str, path: tuple[Path, ...]) -> Path:
        """Train a small model and give its run directory."""
        out = self.root / name
        source = ["--source", f"file:{self.text}", "--out", str(out)]
        done(self.charrnn("run", *arguments, *source, *SMALL, path=path))
        return out


def done(process: subprocess.CompletedProcess) -> str:
    """What a command that must succeed printed."""
    assert process.returncode == 0, process.stderr
    return process.stdout


def refusal(process: subprocess.CompletedProcess, code: int) -> str:
    """The one line on standard error of a command that must fail, and nothing else."""
    assert process.returncode == code, process.stderr
    [line] = process.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("example"))
    bench.install(EXAMPLE)
    return bench


@pytest.fixture(scope="module")
def irnn_run(bench: Bench) -> Path:
    return bench.train("run", "--cell", "irnn:16", "--sampler", "epsilon:0.1", path=(bench.site,))


def distribution(bench: Bench, name: str, version: str, code: str) -> Path:
    """Install by hand a distribution whose plugin is one module; give its directory."""
    root, module = bench.root / name, name.replace("-", "_")
    metadata = root / f"{module}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[charrnn]\n{module} = {module}\n")
    (root / f"{module}.py").write_text(code)
    return root


@pytest.fixture(scope="module")
def broken(bench: Bench) -> Path:
    return distribution(bench, "broken", "1.0", "raise RuntimeError('a missing library')\n")


@pytest.fixture(scope="module")
def twin(bench: Bench) -> Path:
    code = (
        "from charrnn_core import CellPlugin, hookimpl\n"
        "@hookimpl\n"
        "def charrnn_cells():\n"
        "    yield CellPlugin(name='irnn', target='nowhere:Nothing')\n"
    )
    return distribution(bench, "charrnn-twin", "2.0", code)


def test_plugins_lists_what_the_distribution_offers(bench: Bench) -> None:
    rows = json.loads(done(bench.process("plugins", "--json", path=(bench.site,))))
    ours = [row for row in rows if row["distribution"] == "charrnn-irnn"]
    assert [(row["kind"], row["name"]) for row in ours] == [
        ("cell", "irnn"),
        ("sampler", "epsilon"),
    ]
    assert {(row["version"], row["status"]) for row in ours} == {("0.1.0", "ok")}


def test_a_bound_of_its_option_holds(bench: Bench) -> None:
    process = bench.charrnn("run", "--sampler", "epsilon:0", path=(bench.site,))
    assert "sampler 'epsilon' is 0.0; expected a value > 0" in refusal(process, 2)


def test_a_run_records_its_distribution(bench: Bench, irnn_run: Path) -> None:
    assert len((irnn_run / "metrics.jsonl").read_text().splitlines()) > 1
    # info needs none of the plugins, so it is asked without them.
    info = json.loads(done(bench.charrnn("info", str(irnn_run), "--json")))
    expected_cell = {"use": "irnn", "features": 16, "scale": 0.5, "input_deviation": 0.001}
    assert info["config"]["cell"] == expected_cell
    assert info["config"]["sampler"] == [{"use": "epsilon", "epsilon": 0.1}]
    recorded = {r["name"]: (r["distribution"], r["version"]) for r in info["plugins"]}
    assert recorded["irnn"] == recorded["epsilon"] == ("charrnn-irnn", "0.1.0")


@pytest.mark.parametrize("cell", ["stacked:irnn:16*2", "stacked:elman:16,irnn:8"])
def test_its_cell_nests_in_stacked(bench: Bench, cell: str) -> None:
    name = re.sub(r"\W", "-", cell)
    run = bench.train(name, "--cell", cell, path=(bench.site,))
    assert list((run / "checkpoints").glob("*.crn"))


@pytest.mark.parametrize("sampler", ["epsilon:0.01", "epsilon:0.01,temperature:0.5"])
def test_its_sampler_works_alone_and_in_a_chain(bench: Bench, irnn_run: Path, sampler: str) -> None:
    arguments = ["--sampler", sampler, "--prompt", "the ", "--length", "40"]
    written = done(bench.charrnn("sample", str(irnn_run), *arguments, path=(bench.site,)))
    assert written.startswith("the ") and len(written) == len("the ") + 40 + len("\n")


def test_without_the_plugin_sample_names_what_to_install(bench: Bench, irnn_run: Path) -> None:
    process = bench.charrnn("sample", str(irnn_run))
    assert "pip install 'charrnn-irnn==0.1.0'" in refusal(process, 1)
    assert process.stdout == ""


def test_a_broken_plugin_is_named(bench: Bench, broken: Path) -> None:
    assert "sample" in done(bench.charrnn("--help", path=(broken,)))
    rows = json.loads(done(bench.charrnn("plugins", "--json", path=(broken,))))
    [row] = [row for row in rows if row["distribution"] == "broken"]
    assert (row["version"], row["status"]) == ("1.0", "failed: RuntimeError: a missing library")
    assert "a missing library" in done(bench.charrnn("plugins", path=(broken,)))


def test_a_broken_plugin_stops_neither_training_nor_sampling(bench: Bench, broken: Path) -> None:
    run = bench.train("beside-broken", "--cell", "elman:8", path=(broken,))
    assert done(bench.charrnn("sample", str(run), "--length", "20", path=(broken,)))


def test_two_providers_of_a_name_are_an_error_when_it_is_used(bench: Bench, twin: Path) -> None:
    both = (bench.site, twin)
    rows = json.loads(done(bench.charrnn("plugins", "--json", path=both)))
    assert [row["status"] for row in rows if row["name"] == "irnn"] == [
        "ambiguous: also offered by charrnn-twin",
        "ambiguous: also offered by charrnn-irnn",
    ]
    line = refusal(bench.charrnn("run", "--cell", "irnn:8", path=both), 2)
    for text in (
        "charrnn-irnn 0.1.0",
        "charrnn-twin 2.0",
        "charrnn-irnn/irnn",
        "charrnn-twin/irnn",
    ):
        assert text in line


def test_a_checkpoint_remembers_whose_cell_it_has(bench: Bench, irnn_run: Path, twin: Path) -> None:
    process = bench.charrnn("sample", str(irnn_run), "--length", "20", path=(bench.site, twin))
    assert len(done(process)) > 20


def test_a_missing_sampler_is_named_too(bench: Bench) -> None:
    arguments = ["--cell", "elman:8", "--sampler", "epsilon:0.1"]
    run = bench.train("its-sampler", *arguments, path=(bench.site,))
    process = bench.charrnn("sample", str(run))
    assert "sampler 'epsilon' comes from charrnn-irnn 0.1.0" in refusal(process, 1)
    assert done(bench.charrnn("sample", str(run), "--sampler", "temperature:1"))


def test_a_distribution_settles_the_tie(bench: Bench, twin: Path) -> None:
    both = (bench.site, twin)
    nested = "stacked:elman:8,charrnn-irnn/irnn:8"  # elman is not touched by the others' quarrel
    run = bench.train("settled", "--cell", nested, path=both)
    assert done(bench.charrnn("sample", str(run), "--length", "20", path=both))


# --- the numbers, in this process ---


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of the example, straight from the checkout."""
    monkeypatch.syspath_prepend(EXAMPLE)
    names = {
        "package": "charrnn_irnn",
        "cell": "charrnn_irnn.cell",
        "sampler": "charrnn_irnn.sampler",
    }
    for name in names.values():
        monkeypatch.delitem(sys.modules, name, raising=False)
    return SimpleNamespace(**{k: importlib.import_module(name) for k, name in names.items()})


def test_the_examples_in_its_docstrings_hold(example: SimpleNamespace) -> None:
    for module in (example.cell, example.sampler):
        result = doctest.testmod(module)
        assert result.attempted and not result.failed


def test_the_cell_starts_as_in_the_paper(example: SimpleNamespace) -> None:
    cell = as_cell(example.cell.IRNNCell(features=64, scale=0.5, input_deviation=0.01))
    params = cell.init(jax.random.key(0), 100)
    np.testing.assert_array_equal(params["W"]["kernel"], 0.5 * np.eye(64))
    np.testing.assert_array_equal(params["W"]["bias"], np.zeros(64))
    U = np.asarray(params["U"]["kernel"])
    assert U.shape == (100, 64) and set(params["U"]) == {"kernel"}
    assert abs(U.std() / 0.01 - 1) < 0.05 and abs(U.mean()) < 0.001


def test_the_cell_is_its_equation(example: SimpleNamespace) -> None:
    T, B, N, H = 12, 3, 5, 7
    rng = np.random.default_rng(0)
    W, U, b = rng.normal(size=(H, H)) / 3, rng.normal(size=(N, H)), rng.normal(size=H)
    xs, h = rng.normal(size=(T, B, N)), rng.normal(size=(B, H))
    params = {"W": {"kernel": W, "bias": b}, "U": {"kernel": U}}
    params, carry, inputs = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (params, h, xs))
    cell = as_cell(example.cell.IRNNCell(features=H))
    last, ys = unroll(cell.step, params, carry, inputs)
    for t in range(T):
        h = np.maximum(h @ W + xs[t] @ U + b, 0.0)
        np.testing.assert_allclose(ys[t], h, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last, h, rtol=1e-4, atol=1e-5)
    assert (h == 0).any() and (h > 0).any()  # both sides of the kink were met


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 0.3, 0.9])
def test_epsilon_renormalises_what_is_likely(example: SimpleNamespace, epsilon: float) -> None:
    logits = np.random.default_rng(3).normal(size=(4, 6))
    shaped, state = example.sampler.epsilon(example.package.EpsilonOptions(epsilon=epsilon))(
        jax.random.key(0), jnp.asarray(logits), None
    )
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p[(p < epsilon) & (p < p.max(-1, keepdims=True))] = 0.0
    np.testing.assert_allclose(jax.nn.softmax(shaped), p / p.sum(-1, keepdims=True), rtol=1e-5)
    assert state is None


def test_epsilon_keeps_the_likeliest_where_all_are_unlikely(example: SimpleNamespace) -> None:
    logits = jnp.array([[0.0, 1.0, 1.0, 0.5]])
    options = example.package.EpsilonOptions(epsilon=0.9)
    shaped, _ = example.sampler.epsilon(options)(None, logits, None)
    assert np.isfinite(shaped).tolist() == [[False, True, True, False]]
