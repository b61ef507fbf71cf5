"""Runs that ended before their first checkpoint: what readers say, and how they are begun again."""

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pytest

from charrnn_core.errors import ResumeError, RunDirectoryError
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.opening import check_run
from charrnn_core.runs.settings import watched
from charrnn_core.runs.writer import RunWriter
from charrnn_core.training.train import resume, train
from tests.resuming import assert_same, bits, quiet
from tests.test_local_files import FILE


@pytest.fixture
def config(text_file) -> RunConfig:
    return RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=16, characters=2000, shards=1,
        observers=("jsonl",),
    )  # fmt: skip


def begun(config, path, registry=None) -> RunWriter:
    """A run whose process was killed before it had saved anything."""
    original = path.with_name(f"{path.name}-original")
    with pytest.raises(KeyboardInterrupt), RunWriter.claim(config, original, registry) as run:
        shutil.copytree(run.path, path)
        raise KeyboardInterrupt
    assert not original.exists()
    return RunWriter(path)


def test_it_begins_with_the_bits_it_would_have_had(config, tmp_path):
    run, lines = begun(config, tmp_path / "run"), []
    with RunWriter.resuming(run.path) as writer:
        assert writer.newest is None and writer.shards == 1
    assert resume(run.path, note=lines.append).reason == "finished"
    assert lines[0] == f"note: {run.path} ended before its first checkpoint; starting it again"
    train(config, out=tmp_path / "straight", note=quiet)
    assert_same(run.path, bits(tmp_path / "straight"))
    assert not run.is_to_begin()


@pytest.mark.slow
def test_what_resume_is_given_counts(config, tmp_path):
    run = begun(config, tmp_path / "run")
    resume(run.path, budget={"epochs": 1}, quiet=True, watch=["progress"], note=quiet)
    saved = tomllib.loads(run.config_file.read_text())
    assert saved["epochs"] == 1 and "characters" not in saved
    assert [table["use"] for table in saved["observers"]] == ["jsonl", "progress"]


def test_readers_say_what_to_do(config, tmp_path):
    run = begun(config, tmp_path / "my run")
    again = f"start it again with: .*charrnn resume '{run.path}'$"
    with pytest.raises(RunDirectoryError, match=f"has no checkpoint yet; .*{again}"):
        check_run(run.path)
    with run.writing(), pytest.raises(RunDirectoryError, match="training is running: wait"):
        check_run(run.path)
    with pytest.raises(RunDirectoryError, match="already holds a run; .*charrnn resume"):
        with RunWriter.claim(config, run.path):
            pass
    run.metrics_file.write_text("{}\n")  # it has been trained, and somebody removed what it learnt
    with pytest.raises(
        RunDirectoryError, match="are missing; train it again with: .*charrnn run --config"
    ):
        resume(run.path)
    run.config_file.unlink()
    with pytest.raises(
        RunDirectoryError, match="no training was started in it; .*charrnn run --out"
    ):
        resume(run.path)


@pytest.mark.slow
def test_a_single_file_plugin_is_kept_from_the_start(config, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    registry = Registry.installed({"CHARRNN_PLUGINS": str(file)})
    settings = RunConfig.read({**config.table(), "cell": "mine:4"})
    run = begun(settings, tmp_path / "run", registry)
    copy = run.plugins / "mine.py"
    with pytest.raises(
        RunDirectoryError, match=f"with: .*charrnn resume {run.path} --plugin {copy}$"
    ):
        check_run(run.path)
    with pytest.raises(ResumeError, match=f"no cell named 'mine'.* if you trust .*--plugin {copy}"):
        resume(run.path, note=quiet)
    named = Registry.installed({"CHARRNN_PLUGINS": str(copy)})
    assert resume(run.path, registry=named, note=quiet).reason == "finished"


@pytest.mark.slow
def test_parameters_to_begin_from_are_taken_again(config, tmp_path):
    first = train(config, out=tmp_path / "first", note=quiet)
    settings = RunConfig.read({**config.table(), "init_from": str(first.directory)})
    run, lines = begun(settings, tmp_path / "run"), []
    resume(run.path, note=lines.append)
    assert any("starting a new training from the parameters of" in line for line in lines)
    train(settings, out=tmp_path / "straight", note=quiet)
    assert_same(run.path, bits(tmp_path / "straight"))


@pytest.mark.slow
def test_observers_may_change_between_sittings(config, tmp_path):
    run = tmp_path / "run"
    trained = train(watched(config, False, ["progress"]), out=run, note=quiet)
    RunWriter(run).write_config(
        watched(trained.model.config, True), Registry.installed()
    )  # as if killed right after
    trained = resume(run, budget={"characters": 3000}, note=quiet)
    assert trained.model.config.observers == (Ref("jsonl"),)


@pytest.mark.slow
def test_killed_while_it_starts(text_file, tmp_path, charrnn):
    """The command itself: killed as soon as it has the directory, and told to go on."""
    command = [
        sys.executable, "-m", "charrnn_core", "run", "--source", text_file, "--cell", "elman:4",
        "--batch", "4", "--window", "16", "--characters", "2000", "--out", tmp_path / "run",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    config = tmp_path / "run" / "config.toml"
    while not config.exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    done = charrnn("sample", "run")
    assert done.returncode == 1 and done.stderr.endswith("charrnn resume run\n")
    done = charrnn("resume", "run", "--quiet", "--observer", "progress,jsonl")
    assert done.returncode == 0 and "starting it again" in done.stderr, done.stderr
    assert "elman with" in done.stdout  # the observer that was asked for
