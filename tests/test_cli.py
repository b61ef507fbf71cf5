"""The commands, each once in a process of its own, and every mistake a user can make."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from charrnn_core.events import TimeSpent
from tests.conftest import PLAIN_OPTIONS
from tests.signalled import signalled

ENGINE = "engine (it has products that do not need a loop); 1 loop, 1 deferred product"


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory, text_file):
    """One small trained run, and what the command printed."""
    directory = tmp_path_factory.mktemp("cli") / "run"
    done = subprocess.run(
        [sys.executable, "-m", "charrnn_core", "run", "--cell", "elman:16", "--source", text_file,
         "--batch", "4", "--window", "16", "--characters", "12000", "--prompt", "Ann ",
         "--out", directory],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return directory, done.stdout


def test_run_prints_progress_samples_and_the_result(run_directory):
    directory, output = run_directory
    assert "elman with " in output and "chars/s" in output and "left" in output
    assert output.count(f"unroll: {ENGINE}\n") == 1
    heading = r"\nupdate [\d,]+, held-out \d\.\d{3} nats:\n    Ann "
    assert len(re.findall(heading, output)) == 10
    last = output.splitlines()[-13:]
    held_out, model, *table, warning, time, run, sample, evaluate, report, export = last
    assert held_out.startswith("held-out  ") and " (valid part of last-10%, " in held_out
    assert re.fullmatch(r"model from update \d+, the last and the best of 10 evaluations", model)
    names = [re.split(r"  +|, order", row)[0] for row in table]
    assert names == ["per character", "model", "unigram", "n-gram"]
    assert warning.startswith("warning: a baseline beats the model (")
    assert re.fullmatch(
        r"time +\d+\.\d s: updates \d+\.\d \(\d+ %\), start-up .*; \d+ updates", time
    )
    assert run.split() == ["run", str(directory)]
    program, *words = sample.split()[1:4]
    assert program.endswith("charrnn") and words == ["sample", str(directory)]
    assert evaluate.split()[1:] == [program, "eval", str(directory)]
    assert report.split()[1:] == [program, "report", str(directory)]
    assert export.split()[1:] == [program, "export", str(directory)]


def test_run_leaves_the_files_others_rely_on(run_directory):
    directory, _ = run_directory
    config = tomllib.loads((directory / "config.toml").read_text())
    assert config["cell"] == {
        "use": "elman", "features": 16, "activation": "tanh", "recurrent_init": "orthogonal",
    }  # fmt: skip
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert {
        "step", "epoch", "characters", "train_nats_per_char", "held_out_nats_per_char",
        "held_out_interval", "characters_per_second", *TimeSpent().table(),
    } == rows[-1].keys()  # fmt: skip
    assert list((directory / "checkpoints").glob("*.crn"))


def test_eval_agrees_with_what_run_printed(run_directory, charrnn, charrnn_process):
    directory, output = run_directory
    done = charrnn_process("eval", directory, "--json")
    result = json.loads(done.stdout)
    assert result.keys() >= {"nats_per_char", "bits_per_char", "perplexity", "characters", "split"}
    assert f"{result['nats_per_char']:.4f} nats, {result['bits_per_char']:.4f} bits" in output
    assert result["perplexity"] == pytest.approx(math.exp(result["nats_per_char"]))
    assert result["split"] == "last-10%"
    parts = [
        json.loads(charrnn("eval", directory, "--json", "--split", p).stdout)
        for p in ("train", "all")
    ]
    assert result["characters"] + parts[0]["characters"] == parts[1]["characters"]
    shown = charrnn("eval", directory).stdout
    alone = [line for line in shown.splitlines(keepends=True) if line.startswith("network alone ")]
    assert len(alone) == 1
    shown = shown.replace(alone[0], "")
    table = output[output.index("per character  ") : output.index("\ntime  ")]
    assert shown.endswith(f"{table}\n") and "bits per character, perplexity" in shown


def test_eval_on_another_text(run_directory, charrnn, tmp_path):
    (tmp_path / "other.txt").write_text("Ann sees Bob and 7.\n" * 20)
    done = charrnn("eval", run_directory[0], "--source", "other.txt", "--json")
    assert json.loads(done.stdout)["characters"] == 20 * 20
    (tmp_path / "other.txt").write_text("Zoë?")
    assert_fails(charrnn("eval", run_directory[0], "--source", "other.txt"), 2, "lacks '?', 'Z'")


def test_sample_writes_what_was_asked(run_directory, charrnn, tmp_path):
    directory, _ = run_directory
    done = charrnn("sample", directory, "--prompt", "Ann ", "--length", 300, "--seed", 3)
    assert done.stdout.startswith("Ann ") and len(done.stdout) == 4 + 300 + 1
    again = charrnn(
        "sample", directory, "--prompt-file", "-", "--length", 300, "--seed", 3, stdin="Ann "
    )
    assert again.stdout == done.stdout
    many = charrnn("sample", directory, "--prompt", "Ann ", "--length", 300, "--seed", 3, "--n", 2)
    assert many.stdout.startswith(f"--- 1 ---\n{done.stdout}--- 2 ---\nAnn ")
    skipped = charrnn(
        "sample", directory, "--prompt", "€Ann€ ", "--unknown", "skip", "--length", 300,
        "--sampler", "temperature:0",
    )  # fmt: skip
    greedy = charrnn(
        "sample", directory, "--prompt", "Ann ", "--length", 300, "--sampler", "temperature:0"
    )
    assert skipped.stdout.removeprefix("€Ann€ ") == greedy.stdout.removeprefix("Ann ")


@pytest.mark.slow
def test_sample_ends_cleanly_when_its_reader_leaves(run_directory):
    command = (
        f"{sys.executable} -m charrnn_core sample {run_directory[0]} --length 200000 | head -c 20"
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=120
    )
    assert len(done.stdout) == 20 and done.stderr == "" and done.returncode == 0


def test_info_needs_no_plugin(run_directory, charrnn, charrnn_process):
    env = {"CHARRNN_DISABLE_PLUGINS": "elman"}
    table = json.loads(charrnn_process("info", run_directory[0], "--json", env=env).stdout)
    assert table["config"]["cell"]["features"] == 16 and table["step"] > 100
    assert {"kind": "cell", "name": "elman"}.items() <= table["plugins"][1].items()
    assert set(table["alphabet"]) >= set("Ann sees")
    rows = 5 * 2**10
    assert table["parameters"] == len(table["alphabet"]) * (32 + 17) + 16 * (32 + 17) + 32 * rows
    assert table["unroll"]["engine"] and len(table["unroll"]["loops"]) == 1
    assert table["unroll"]["loops"][0]["deferred"][0]["product"] == "h[B,16] @ W[16,16]"
    lines = charrnn("info", run_directory[0], env=env).stdout.splitlines()
    assert lines[:2] == ["result", "  status      finished"]
    assert re.fullmatch(r"  held-out    \d\.\d{4} nats, \d\.\d{4} bits per character", lines[2])
    assert "  cell      elman: features=16, activation=tanh, recurrent_init=orthogonal" in lines
    assert f"  unroll    {ENGINE}" in lines and len(lines) < 45


@pytest.mark.slow
def test_a_plain_scan_is_recorded_and_quiet_hides_it(charrnn, text_file):
    options = ("--source", text_file, "--cell", "elman:4", "--unroll", "scan", "--out", "run")
    done = charrnn(*RUN, *PLAIN_OPTIONS, *options)
    assert done.returncode == 0 and "unroll" not in done.stdout + done.stderr
    assert re.search("\n  unroll +scan [(]asked for[)]\n", charrnn("info", "run").stdout)


def test_checkpoints_from_before_unroll_was_recorded(charrnn, run_directory, tmp_path):
    from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint

    [*_, newest] = sorted((run_directory[0] / "checkpoints").iterdir())
    checkpoint = load_checkpoint(newest)
    table = {key: value for key, value in checkpoint.table.items() if key != "unroll"}
    save_checkpoint(tmp_path / "old.crn", table, checkpoint.arrays)
    shown = charrnn("info", "old.crn")
    assert shown.returncode == 0 and "\n  unroll" not in shown.stdout
    sampled = charrnn("sample", "old.crn", "--prompt", "Ann ", "--length", 5)
    assert sampled.returncode == 0 and sampled.stdout.startswith("Ann ")


def test_plugins_lists_what_there_is(charrnn, charrnn_process):
    rows = json.loads(charrnn_process("plugins", "--json").stdout)
    assert all(row.keys() >= {"kind", "name", "distribution", "version", "status"} for row in rows)
    assert ("cell", "elman", "charrnn", "ok") in [
        (row["kind"], row["name"], row["distribution"], row["status"]) for row in rows
    ]
    assert "crossentropy" in charrnn("plugins").stdout
    shown = charrnn("plugins", "show", "cell", "elman").stdout
    assert "features: int, default 256" in shown and "width of the hidden state" in shown
    assert json.loads(charrnn("plugins", "show", "source", "gutenberg", "--json").stdout)["options"]


def test_plugins_show_what_the_engine_makes_of_a_cell(charrnn):
    shown = charrnn("plugins", "show", "cell", "elman").stdout.splitlines()
    assert shown[-3] == f"unroll: {ENGINE}"
    assert shown[-2].split() == [
        "equations", "once", "before", "inside", "after", "deferred", "products",
    ]  # fmt: skip
    assert shown[-1].endswith("  h[B,256] @ W[256,256]")
    assert shown[-2].index("deferred") == shown[-1].index("h[B,")
    docs = (Path(__file__).resolve().parents[1] / "docs" / "engine.md").read_text()
    assert "$ charrnn plugins show cell elman\n...\n" + "\n".join(shown[-3:]) + "\n```" in docs
    stack = charrnn("plugins", "show", "cell", "stacked:elman:4*2", "--json")
    assert len(json.loads(stack.stdout)["unroll"]["loops"]) == 2
    bare = charrnn("plugins", "show", "cell", "stacked")
    assert bare.returncode == 0 and "  layers: list of components, required\n" in bare.stdout
    assert "\nunroll: unknown (cell 'stacked' needs the option 'layers': " in bare.stdout
    assert "unroll" not in charrnn("plugins", "show", "source", "file", "--json").stdout


@pytest.mark.slow
def test_a_cell_with_effects_says_why_it_is_scanned(charrnn, text_file, tmp_path):
    (tmp_path / "noisy.py").write_text(
        "import flax.linen as nn, jax\n"
        "from charrnn_core import CellPlugin, hookimpl\n\n"
        "class Noisy(nn.SimpleCell):\n"
        "    def __call__(self, h, x):\n"
        "        jax.debug.callback(lambda: None)\n"
        "        return super().__call__(h, x)\n\n"
        "@hookimpl\n"
        "def charrnn_cells():\n"
        "    yield CellPlugin(name='noisy', target=lambda: Noisy(4))\n"
    )
    info = tmp_path / "charrnn_noisy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: charrnn-noisy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[charrnn]\nnoisy = noisy\n")
    env = {"PYTHONPATH": str(tmp_path)}
    why = "the step has side effects, which have to stay in order"
    line = f"\nunroll: scan ({why})\n"
    assert charrnn("plugins", "show", "cell", "noisy", env=env).stdout.endswith(line)
    done = charrnn("run", "--source", text_file, "--characters", 2000, "--cell", "noisy",
                   *PLAIN_OPTIONS, "--out", "run", env=env)  # fmt: skip
    assert done.returncode == 0 and line in done.stdout, done.stderr
    assert f"  unroll    scan ({why})\n" in charrnn("info", "run").stdout


def test_settings_come_from_toml_and_the_command_line(charrnn, text_file, tmp_path):
    (tmp_path / "run.toml").write_text(
        f'source = "{text_file}"\nepochs = 1\nbatch = 2\nwindow = 16\nrecipe = "notebook"\n'
        "context = 0\ncounts = 0\n"
        'batching = "streams"\n[cell]\nuse = "stacked"\n'
        'layers = ["elman:4", {use = "elman", features = 5}]\nresidual = true\n'
    )
    done = charrnn("run", "--config", "run.toml", "--batch", 3, "--lr", "0.01", "--quiet",
                   "--cell-opt", "residual=false", "--optimizer-opt", "clip=2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("held-out  ")
    config = tomllib.loads((tmp_path / "runs" / "stacked-file-small-1" / "config.toml").read_text())
    assert (config["batch"], config["window"], config["epochs"]) == (3, 16, 1.0)
    assert config["cell"]["layers"][1]["features"] == 5 and config["cell"]["residual"] is False
    assert config["optimizer"]["learning_rate"] == 0.01 and config["optimizer"]["clip"] == 2.0
    again = charrnn(
        "run", "--config", tmp_path / "runs" / "stacked-file-small-1" / "config.toml", "--quiet"
    )
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]


def test_a_run_directory_is_never_shared(charrnn, text_file, tmp_path, run_directory):
    from concurrent.futures import ThreadPoolExecutor

    from charrnn_core.runs.naming import new_directory

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: new_directory(tmp_path / "runs", "same"), range(40)))
    assert len(set(claimed)) == 40
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    [*_, old] = sorted((run_directory[0] / "checkpoints").iterdir())
    (tmp_path / "half" / "checkpoints" / old.name).write_bytes(old.read_bytes())
    done = charrnn(*RUN, "--source", text_file, "--out", "half")
    assert_fails(done, 1, "half already holds a run")


@pytest.mark.slow
def test_a_new_budget_replaces_that_of_a_saved_configuration(charrnn, run_directory, tmp_path):
    saved = run_directory[0] / "config.toml"
    done = charrnn("run", "--config", saved, "--epochs", 2, "--quiet", "--out", "again")
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "again" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["epoch"] == 2.0


def test_the_main_job_on_the_book(charrnn, mirror, tmp_path):
    env = {"CHARRNN_GUTENBERG_MIRROR": str(mirror)}
    done = charrnn(
        "run", "--cell", "elman:32", "--source", "gutenberg:520", "--characters", 60000, env=env
    )
    assert done.returncode == 0, done.stderr
    assert "73 symbols" in done.stdout
    run = tmp_path / "runs" / "elman-gutenberg-520-1"
    assert charrnn("sample", run, "--prompt", "Santa ", "--length", 50).stdout.startswith("Santa ")
    assert json.loads(charrnn("eval", run, "--json", env=env).stdout)["characters"] == 16483


@pytest.mark.slow
def test_control_c_saves_and_says_so(text_file, tmp_path):
    command = signalled(
        sys.executable, "-m", "charrnn_core", "run", "--cell", "elman:16", "--batch", 4,
        "--source", text_file, "--out", tmp_path / "run", "--epochs", 100_000, *PLAIN_OPTIONS,
    )  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while (
        not (tmp_path / "run" / "metrics.jsonl").exists()
        or not (tmp_path / "run" / "metrics.jsonl").read_text()
    ):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping after this device call" in errors and "Traceback" not in errors
    assert "interrupted: progress so far is saved" in errors
    assert "charrnn resume" in output and list((tmp_path / "run" / "checkpoints").glob("*.crn"))


def assert_fails(done, code: int, *words: str) -> None:
    """One clear line on standard error, the exit code, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stderr)
    [line] = done.stderr.strip().splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert line.startswith("Error: "), done.stderr
    for word in words:
        assert word in line, (word, line)


RUN = ("run", "--quiet", "--characters", 2000)


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("--cell", "elmann"), 2, ["no cell named 'elmann'", "did you mean 'elman'"]),
        (("--source", "gutenburg:520"), 2, ["no source named", "did you mean 'gutenberg'"]),
        (("--sampler", "temprature"), 2, ["no sampler named", "did you mean 'temperature'"]),
        (("--optimizer", "adamm"), 2, ["no optimizer named", "did you mean"]),
        (("--loss", "crossentrpy"), 2, ["no loss named", "did you mean 'crossentropy'"]),
        (("--observer", "jsnl"), 2, ["no observer named", "did you mean 'jsonl'"]),
        (("--cell-opt", "featurs=3"), 2, ["no option of cell 'lstm'", "did you mean 'features'"]),
        (("--cell-opt", "features"), 2, ["expected KEY=VALUE"]),
        (("--cell", "elman:big"), 2, ["option 'features' of cell 'elman' is 'big'; expected int"]),
        (("--cell", "elman:0"), 2, ["expected a value >= 1"]),
        (("--sampler", "temperature:-1"), 2, ["is -1.0; expected a value >= 0"]),
        (("--split", "last-1%"), 2, ["no split named 'last-1%'", "last-10%"]),
        (("--recipe", "notebok"), 2, ["no recipe named", "did you mean 'notebook'"]),
        (("--batch", "many"), 2, ["option 'batch' of the run is 'many'; expected int"]),
        (("--lr", "0"), 2, ["option 'learning_rate' of optimizer 'nadam' is 0.0"]),
        (("--source", "gutenberg:abc"), 1, ["'gutenberg:abc' does not name", "gutenberg:520"]),
        (("--source", "gutenberg:../x"), 1, ["'gutenberg:../x' does not name a book"]),
        (("--source", "gutenberg:99999"), 1, ["CHARRNN_OFFLINE"]),
        (("--source", "no/such/file.txt"), 1, ["'no/such/file.txt' is neither an existing path"]),
        (("--source", "file:nowhere.txt"), 1, ["file 'nowhere.txt' not found"]),
        (("--source", "empty.txt"), 1, ["empty.txt is empty"]),
        (("--source", "same.txt"), 1, ["single distinct character, 'a'"]),
        (("--source", "short.txt"), 1, ["expected at least 9, for one window"]),
        (("--source", "latin.txt"), 1, ["not UTF-8: byte 0xe9 at offset 3"]),
        (("--source", "text.txt", "--prompt", "Ωa"), 2, ["lacks 'Ω'", "--unknown skip"]),
        (("--config", "no.toml"), 1, ["cannot read no.toml: No such file"]),
        (("--config", "bad.toml"), 2, ["bad.toml is not TOML", "line 1"]),
        (("--config", "odd.toml"), 2, ["no option of the run named 'celll'"]),
        (("--source", "text.txt", "--out", "text.txt"), 1, ["text.txt is a file; choose another"]),
        (("--source", "text.txt", "--out", "/proc/run"), 1, ["cannot create /proc/run"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_mistakes_of_run(charrnn, tmp_path, arguments, code, words):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "same.txt").write_text("a" * 100)
    (tmp_path / "short.txt").write_text("abcdef")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    (tmp_path / "text.txt").write_text("ho ho ho, ha ha. " * 40)
    (tmp_path / "bad.toml").write_text("cell = x\n")
    (tmp_path / "odd.toml").write_text('celll = "elman"')
    done = charrnn(*RUN, *arguments, env={"CHARRNN_OFFLINE": "1"})
    assert_fails(done, code, *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("sample", "RUN", "--sampler", "temperature:-1"), 2, ["expected a value >= 0"]),
        (("sample", "RUN", "--sampler", "temperatur"), 2, ["did you mean 'temperature'"]),
        (("sample", "RUN", "--prompt", "Ω€"), 2, ["lacks 'Ω', '€'", "--unknown skip"]),
        (("sample", "nowhere"), 1, ["nowhere does not exist"]),
        (("eval", "."), 1, [". is not a run directory"]),
        (("info", "foreign.crn"), 1, ["foreign.crn is not a charrnn checkpoint"]),
        (("eval", "RUN", "--split", "tset"), 2, ["no split named 'tset'"]),
        (("eval", "RUN", "--split", "test"), 1, ["the test part of split 'last-10%' has 0"]),
        (("plugins", "show", "cel", "elman"), 2, ["did you mean 'cell'"]),
        (("plugins", "show", "cell", "elman:big"), 2, ["is 'big'; expected int"]),
        (("plugins", "show", "cell", "elmann:8"), 2, ["did you mean 'elman'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_mistakes_with_a_run(charrnn, tmp_path, run_directory, arguments, code, words):
    (tmp_path / "foreign.crn").write_bytes(b"x" * 100)
    given = [run_directory[0] if argument == "RUN" else argument for argument in arguments]
    assert_fails(charrnn(*given), code, *words)


def test_a_damaged_checkpoint(charrnn, tmp_path, run_directory):
    [*_, newest] = sorted((run_directory[0] / "checkpoints").iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged.crn").write_bytes(data)
    assert_fails(charrnn("sample", "damaged.crn"), 1, "damaged.crn is damaged", "digest")


@pytest.mark.slow
def test_a_file_that_cannot_grow_ends_the_run(text_file, tmp_path):
    """A limit on file sizes stands in for a full disk: the checkpoint does not fit."""
    command = [sys.executable, "-m", "charrnn_core", "run", "--quiet", "--cell", "elman:64",
               "--source", text_file, "--characters", "3000", *PLAIN_OPTIONS,
               "--out", tmp_path / "run"]  # fmt: skip
    limited = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash", *command]
    # Here compiled programs are kept as for users, not by jax, and do not fit either.
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    env["CHARRNN_COMPILE_CACHE"] = str(tmp_path / "compiled")
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120, env=env)
    assert_fails(done, 1, "cannot write", "File too large")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_the_run(text_file, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        command = [sys.executable, "-m", "charrnn_core", "run", "--quiet", "--cell", "elman:64",
                   "--source", text_file, "--characters", "3000", *PLAIN_OPTIONS,
                   "--out", disk / "run"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert_fails(done, 1, "cannot write", "No space left on device", "free some space")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_debug_shows_the_traceback(charrnn):
    done = charrnn("--debug", "run", "--cell", "elmann")
    assert done.returncode == 1 and "Traceback" in done.stderr and "UnknownNameError" in done.stderr


def test_the_command_of_a_plugin(charrnn, tmp_path):
    """Commands of other distributions are listed from metadata; a broken one harms nobody."""
    (tmp_path / "hello_cmd.py").write_text(
        "import click\n\n@click.command()\ndef hello():\n    click.echo('hello there')\n"
    )
    info = tmp_path / "charrnn_hello-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: charrnn-hello\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[charrnn.commands]\nhello = hello_cmd:hello\ngone = nowhere:command\n"
        "run = hello_cmd:hello\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    assert "\ncharrnn-hello 1.2:\n" in charrnn("--help", env=env).stdout
    assert charrnn("hello", env=env).stdout == "hello there\n"
    assert_fails(charrnn("gone", env=env), 1, "command 'gone' (from charrnn-hello 1.2)")
    assert "Train a model" in charrnn("run", "--help", env=env).stdout


@pytest.mark.parametrize("command", [(), ("run",), ("sample",), ("eval",), ("info",), ("plugins",)])
def test_every_command_has_help(charrnn, command):
    done = charrnn(*command, "--help")
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 4


def test_standard_input_is_a_source(charrnn, small_text):
    arguments = ("--cell", "elman:4", "--source", "-", "--out", "run")
    done = charrnn(*RUN, *PLAIN_OPTIONS, *arguments, stdin=small_text)
    assert done.returncode == 0, done.stderr


def test_offline_and_environment(charrnn, tmp_path):
    (tmp_path / "text.txt").write_text("ho ho ho, ha ha. " * 40)
    done = charrnn(*RUN, *PLAIN_OPTIONS, "--source", "text.txt", "--cell", "elman:4",
                   env={"CHARRNN_OFFLINE": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path / "runs") == ["elman-file-text-1"]
