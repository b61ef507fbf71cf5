"""A process that is killed at any moment leaves a run that can be read, and loses one save."""

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

from charrnn_core.files.atomic import remove_temporaries
from charrnn_core.files.checkpoint import save_checkpoint
from tests.crashes import ROOT, SMALL, Dead, Killed, content, found, make_run, save, temporaries


def figures(*arguments: object) -> dict[str, Any]:
    """What tests/kill_writers.py finds, in a process without the threads of jax."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_writers", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_two_hundred_writers_killed_at_random():
    told = figures("--kills", 200)
    assert told["kills"] == 200
    assert told["amid"] >= 20 and told["saves"] >= 150, "the kills hit nothing: change the pauses"


@pytest.mark.slow
def test_a_save_killed_before_each_call_and_amid_each_write():
    told = figures("--calls")
    assert told["kills"] > 40 and told["amid"] > 20


def test_a_writer_killed_on_entering_each_system_call():
    probe = [shutil.which("strace") or "false", "-o", "/dev/null", "-e", "trace=none", "true"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("strace is not installed, or may not trace")
    told = figures("--strace")
    assert told["kills"] > 40 and told["amid"] > 5


def test_readers_of_a_live_run_see_whole_checkpoints():
    assert figures("--reads", 300)["reads"] > 50


@pytest.mark.parametrize("at", range(1, 12))
def test_the_next_writer_goes_on_as_if_nothing_had_happened(tmp_path, at):
    run = make_run(tmp_path / "run", 4, SMALL)
    with pytest.raises(Killed):
        save(run, 5, Dead(at), SMALL)
    assert found(run, SMALL) in (4, 5)
    with run.writing():
        assert not temporaries(run)
        save(run, found(run, SMALL) + 1, most=SMALL)
    assert found(run, SMALL) in (5, 6)


def test_only_our_temporaries_are_removed(tmp_path):
    run = make_run(tmp_path / "run", 2, SMALL)
    with pytest.raises(Killed):
        save(run, 3, Dead(4), SMALL)
    ours = temporaries(run)
    assert len(ours) == 1 and re.fullmatch(r"\.step-.*\.[0-9]+-[0-9a-f]{8}\.tmp", ours[0].name)
    others = [".notes.tmp", "x.1-00000000.tmp", ".x.1-0000000.tmp", ".x.1-00000000.tmp~"]
    for name in others:
        (run.checkpoints / name).write_text("mine")
    remove_temporaries(run.checkpoints)
    assert {path.name for path in run.checkpoints.iterdir() if "tmp" in path.name} == set(others)


def test_a_writer_is_not_hindered_by_what_a_killed_one_left_in_its_place(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(Killed):
        save_checkpoint(run.checkpoint_file(1), *content(1, SMALL), Dead(3))
    save(run, 1, most=SMALL)
    assert found(run, SMALL) == 1
