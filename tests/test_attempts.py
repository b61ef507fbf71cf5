"""One command for every attempt at a run, such as a scheduler makes."""

import json
import shutil
import signal
import time

import pytest

from charrnn_core.errors import ResumeError
from charrnn_core.runs.attempt import attempt, new_budget
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.writer import RunWriter
from tests.conftest import PLAIN_OPTIONS
from tests.processes import Training, done
from tests.resuming import assert_same, bits

SIZES = ("--cell", "elman:4", "--batch", 4, "--window", 16, "--shards", 1, *PLAIN_OPTIONS)


def test_the_first_attempt_begins_and_the_last_finds_it_complete(charrnn, text_file, tmp_path):
    run = tmp_path / "run"
    command = ("run", "--source", text_file, *SIZES, "--quiet", "--or-resume", "--out", run)
    first = charrnn(*command, "--chars", 1000)
    assert first.returncode == 0 and "complete" not in first.stderr
    again = charrnn(*command, "--chars", 1000)
    assert again.returncode == 0 and again.stdout == ""
    assert f"note: {run} is complete: " in again.stderr
    longer = charrnn(*command, "--chars", 2000)
    assert longer.returncode == 0, longer.stderr
    assert "the budget of the whole run is now 2000 characters, was 1000" in longer.stderr
    assert "is complete" in charrnn(*command, "--chars", 2000).stderr
    assert json.loads((run / "evaluation.json").read_text())["step"] == -(-2000 // 64)


def test_other_settings_than_it_was_begun_with_are_refused(charrnn, text_file, tmp_path):
    config = RunConfig(source=str(text_file), cell="elman:4", seed=3, minutes=1)
    kept = tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt), RunWriter.claim(config, tmp_path / "run") as writer:
        shutil.copytree(writer.path, kept)  # as it is if the process is killed
        raise KeyboardInterrupt
    other = RunConfig(source=str(text_file), cell="elman:4", seed=4, minutes=1)
    message = "was begun with seed 3, and is now asked for with 4; give the settings it was begun"
    with pytest.raises(ResumeError, match=message), attempt(other, kept):
        pass
    longer = RunConfig(source=str(text_file), cell="elman:4", seed=3, epochs=2, observers=())
    with attempt(longer, kept) as writer:
        assert writer.config is None and new_budget(writer, longer) == {"epochs": 2.0}
        assert new_budget(writer, config) == {}
    refused = charrnn("run", "--or-resume")
    assert refused.returncode == 2 and "--or-resume needs --out; add --out" in refused.stderr


@pytest.mark.slow
def test_attempts_that_are_stopped_and_killed_end_as_one_that_is_not(text_file, tmp_path):
    sizes = ("--cell", "elman:4", "--batch", 4, "--window", 16, "--shards", 2, *PLAIN_OPTIONS)
    command = ("run", "--source", text_file, *sizes, "--chars", 300_000, "--save-every", 0.001)
    run = RunWriter(tmp_path / "run")
    again = (*command, "--quiet", "--or-resume", "--out", run.path)
    for number, count in ((signal.SIGTERM, 1), (signal.SIGKILL, 2), (signal.SIGTERM, 2)):
        before = run.saved() if run.path.exists() else []
        with Training(tmp_path, count, 2 // count, *again, explicit=count > 1) as training:
            while not run.is_run() or run.saved()[-1:] == before[-1:]:
                assert [process.poll() for process in training.processes] == [None] * count
                time.sleep(0.02)
            training.processes[0].send_signal(number)
            assert training.wait(20)[0] == (143 if number == signal.SIGTERM else -number)
    done(tmp_path, 2, 1, *again)
    done(tmp_path, 1, 2, *command, "--quiet", "--out", tmp_path / "whole", explicit=False)
    assert_same(run.path, bits(tmp_path / "whole"))
