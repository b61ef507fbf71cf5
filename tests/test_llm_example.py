"""The plugin examples/llm-charrnn: charrnn's runs as models of llm, by the real command ``llm``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_core import generate, load
from tests.test_example_plugin import EXAMPLE, Bench

llm = pytest.importorskip("llm")

PLUGIN = EXAMPLE.parent / "llm-charrnn"
PROGRAM = shutil.which("llm", path=str(Path(sys.executable).parent))


class Llm(Bench):
    """A directory with the plugin installed, a model ``charrnn/small``, and a log of llm's own."""

    def llm(self, *arguments: object, fails: bool = False, **env: str) -> str:
        """Run the real ``llm`` and return what it wrote, or its error if it must fail."""
        process = subprocess.run(
            [PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, cwd=self.root,
            env={**os.environ, "LLM_USER_PATH": str(self.root / "user"),
                 "CHARRNN_CACHE": str(self.root / "cache"), "PYTHONPATH": str(self.site), **env},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert process.returncode == int(fails), process.stderr
        return process.stderr if fails else process.stdout

    @property
    def model(self):
        return load(self.root / "runs" / "small")


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Llm:
    bench = Llm(tmp_path_factory.mktemp("llm"))
    bench.install(PLUGIN)
    bench.train("runs/small", "--cell", "elman:16", path=())
    return bench


@pytest.fixture
def small(bench, monkeypatch):
    """The same model in this process, as llm has it."""
    monkeypatch.syspath_prepend(PLUGIN)
    from llm_charrnn import Run

    return Run("charrnn/small", bench.root / "runs" / "small")


def test_the_command_writes_streams_and_logs(bench):
    words = "the rain", "-o", "seed", 3, "-o", "length", 60
    expected = generate(bench.model, "the rain", 60, seed=3)
    assert bench.llm("-m", "charrnn/small", *words).removesuffix("\n") == expected
    [row] = json.loads(bench.llm("logs", "-n", 1, "--json"))
    assert (row["model"], row["prompt"], row["response"]) == (
        "charrnn/small", "the rain", expected,
    )  # fmt: skip
    assert (row["input_tokens"], row["output_tokens"]) == (8, 60)
    assert row["response_json"]["seed"] == 3


@pytest.mark.slow
def test_a_conversation_is_one_text_and_a_drawn_seed_is_logged(bench):
    first = bench.llm("-m", "charrnn/small", "the rain", "-o", "length", 20).removesuffix("\n")
    second = bench.llm("-c", " in spain", "-o", "length", 30).removesuffix("\n")
    [row] = json.loads(bench.llm("logs", "-n", 1, "--json"))
    seed = row["response_json"]["seed"]
    assert second == generate(bench.model, f"the rain{first} in spain", 30, seed=seed)


def test_help_imports_no_jax(bench):
    code = (
        "import sys; from click.testing import CliRunner; from llm.cli import cli\n"
        "result = CliRunner().invoke(cli, sys.argv[1:])\n"
        "assert result.exit_code == 0, result.output\n"
        "assert 'charrnn' in result.output and 'jax' not in sys.modules\n"
    )
    env = {**os.environ, "PYTHONPATH": str(bench.site), "LLM_USER_PATH": str(bench.root / "user")}
    for words in (["--help"], ["models"], ["charrnn", "--help"]):
        subprocess.run([sys.executable, "-c", code, *words], check=True, cwd=bench.root, env=env)


def test_what_is_wrong_is_said_in_a_line(bench, small):
    error = bench.llm("-m", "charrnn/small", "the räin", fails=True)
    assert error.startswith("Error: the alphabet") and error.count("\n") == 1
    assert small.prompt("the räin", unknown="skip", length=5, seed=1).text()
    with pytest.raises(llm.ModelError, match="-o sampler greedy,temperature:0.5"):
        small.prompt("the", sampler="greedy", temperature=0.5).text()
    with pytest.raises(llm.ModelError, match="no sampler named 'tempreature'"):
        small.prompt("the", sampler="tempreature:1").text()


def test_it_streams(small):
    assert len(list(small.prompt("the", length=3000, seed=1))) > 1


@pytest.mark.parametrize(
    ("options", "same_as"),
    [
        ({"temperature": 0}, {"sampler": "greedy"}),
        ({"temperature": 0.5}, {"sampler": "temperature:0.5"}),
        ({"sampler": "top-k:2"}, {"sampler": "top-k:2"}),
        ({"stop": "in"}, {"stop": "in"}),
        ({"until_sentence": True}, {"until_sentence": True}),
    ],
)
def test_options(bench, small, options, same_as):
    expected = generate(bench.model, "the ", 40, seed=5, **same_as)
    assert small.prompt("the ", length=40, seed=5, **options).text() == expected


def test_runs_are_looked_for_in_several_folders(bench, monkeypatch):
    monkeypatch.syspath_prepend(PLUGIN)
    import llm_charrnn

    found = []
    other = bench.root / "other" / "small"
    shutil.copytree(bench.root / "runs" / "small", other, dirs_exist_ok=True)
    shutil.copytree(bench.root / "runs" / "small", other.with_name("more"), dirs_exist_ok=True)
    folders = [bench.root / "nothing", other.parent, bench.root / "runs"]
    monkeypatch.setenv("CHARRNN_RUNS", os.pathsep.join(map(str, folders)))
    llm_charrnn.register_models(found.append)
    assert [(model.model_id, model.run) for model in found] == [
        ("charrnn/more", other.with_name("more")), ("charrnn/small", other),
    ]  # fmt: skip


def test_the_commands_of_charrnn_are_mounted(bench):
    assert "cell elman" in bench.llm("charrnn", "info", "runs/small")
    error = bench.llm("charrnn", "info", "runs/none", fails=True)
    assert error == (
        "Error: runs/none does not exist; expected a run directory or a checkpoint file\n"
    )
