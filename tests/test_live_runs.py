"""Runs as processes: killed, signalled, read while they write, and started twice."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.opening import open_checkpoint
from tests.conftest import PLAIN_OPTIONS
from tests.resuming import assert_same, bits, quiet
from tests.signalled import signalled


@pytest.fixture
def start(tmp_path, text_file):
    """Start the real command and leave it running: ``start("run", "--out", "a")``."""
    running = []

    def call(*arguments, **env):
        command = signalled(sys.executable, "-m", "charrnn_core", *arguments)
        environment = {**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache"), **env}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        return process

    yield call
    for process in running:
        process.kill()
        process.communicate()


def begin(text_file, out, characters=60_000):
    """The arguments of a run of a few seconds that saves all the time, and is soon compiled."""
    return ("run", "--source", text_file, "--cell", "elman:16", "--batch", 8, "--window", 16,
            "--characters", characters, "--save-every", 1e-6, "--quiet", "--out", out,
            *PLAIN_OPTIONS)  # fmt: skip


def without_end(text_file, out):
    """The arguments of such a run that has to be stopped."""
    return begin(text_file, out, characters=10**9)


def wait_for_step(run, step, process):
    """Wait until a checkpoint of at least this update is there."""
    for _ in range(1800):
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        saved = RunDirectory(run).saved()
        if saved and int(saved[-1].stem[5:]) >= step:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint in 90 seconds")


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_never_killed(start, text_file, tmp_path):
    assert start(*begin(text_file, tmp_path / "straight")).wait(timeout=120) == 0
    expected = bits(tmp_path / "straight")
    last = expected["loop"]["step"]
    process = start(*begin(text_file, tmp_path / "run"))
    for part in (0.3, 0.7):
        wait_for_step(tmp_path / "run", int(part * last), process)
        process.kill()
        process.wait()
        process = start("resume", tmp_path / "run")
    assert process.wait(timeout=120) == 0
    assert_same(tmp_path / "run", expected)


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_and_says_how_to_go_on(name, code, start, text_file, tmp_path):
    process = start(*without_end(text_file, "run"), JAX_NUM_CPU_DEVICES="1")
    wait_for_step(tmp_path / "run", 10, process)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "charrnn resume run" in out and "interrupted: progress so far is saved" in err
    _, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    assert checkpoint.table["loop"]["status"] == "interrupted"
    assert "Traceback" not in err


SLOW = """
import time

import jax
import optax
from charrnn_core import OptimizerPlugin, hookimpl


def make(options, total_steps):
    def update(gradients, state, params=None):
        jax.debug.callback(lambda: time.sleep(3))
        return gradients, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@hookimpl
def charrnn_optimizers():
    yield OptimizerPlugin(name="slow", target=make)
"""


@pytest.mark.slow
def test_a_second_signal_leaves_at_once(start, text_file, tmp_path):
    """With updates of seconds the first signal has to wait; the second does not."""
    (tmp_path / "slow.py").write_text(SLOW)
    process = start(*without_end(text_file, "run"), "--plugin", "slow.py", "--optimizer", "slow")
    wait_for_step(tmp_path / "run", 1, process)  # what is compiled before takes any time
    time.sleep(0.3)  # into the next call
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "press Ctrl-C again to quit immediately" in err
    _, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    assert checkpoint.table["loop"]["status"] == "running"


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored(text_file, tmp_path, start):
    arguments = begin(text_file, "run")
    command = ["nohup", sys.executable, "-m", "charrnn_core", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for_step(tmp_path / "run", 10, process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=120) and process.returncode == 0


@pytest.mark.slow
def test_the_second_run_in_a_directory_names_the_first(
    start, charrnn, charrnn_process, text_file, tmp_path
):
    first = start(*without_end(text_file, "run"))
    wait_for_step(tmp_path / "run", 1, first)
    for command in (begin(text_file, "run"), ("resume", "run")):
        done = charrnn_process(*command, env={"PYTHONPROFILEIMPORTTIME": "1"})
        assert done.returncode == 1
        assert re.search(f"run is being written by process {first.pid} on .+ since", done.stderr)
        # It is told before jax is imported: what is imported is on standard error too.
        assert " charrnn_core\n" in done.stderr and "jax" not in done.stderr
    # Readers need no lock, and find whole checkpoints however often they are replaced.
    for command in (("info", "run"), ("sample", "run", "--length", 5), ("eval", "run")):
        done = charrnn(*command)
        assert done.returncode == 0, done.stderr
        assert "status      running" in done.stdout or command[0] != "info"
    first.kill()
    first.wait()
    shown = charrnn("info", "run").stdout
    assert re.search("status +ended unexpectedly; resume it with: .*charrnn resume run\n", shown)


def test_the_machine_that_resumes_may_have_fewer_cores(start, charrnn, text_file, tmp_path):
    """A run cut into 4 shards gives the same bits on one core as on all of them."""
    one_core = {min(os.sched_getaffinity(0))}
    shards = ("--shards", 4, "--batch", 16)
    first = start(*begin(text_file, "a"), *shards)
    assert first.wait(timeout=120) == 0, first.communicate()
    process = start(*begin(text_file, "b"), *shards)
    wait_for_step(tmp_path / "b", 10, process)  # on a busy machine it is far on when this is seen
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process = start("resume", "b")
    os.sched_setaffinity(process.pid, one_core)
    assert process.wait(timeout=120) == 0, process.communicate()
    assert_same(tmp_path / "b", bits(tmp_path / "a"))


@pytest.mark.slow
def test_a_directory_removed_during_training(start, text_file, tmp_path):
    process = start(*without_end(text_file, "run"))
    wait_for_step(tmp_path / "run", 5, process)
    shutil.rmtree(tmp_path / "run", ignore_errors=True)  # the run writes in it meanwhile
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Error: cannot write run" in err
    assert "Traceback" not in err and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen")
def test_a_single_core_trains_the_same_bits(text_file, tmp_path):
    """With one thread for one device, XLA would add up in another order than with two."""
    command = ("run", "--source", text_file, "--cell", "lstm:64", "--chars", 20_000, "--shards", 1)
    for name, cores in (("all", os.sched_getaffinity(0)), ("one", [min(os.sched_getaffinity(0))])):
        words = [*map(str, command), "--quiet", "--out", str(tmp_path / name)]
        start = (
            f"import os, runpy\nos.sched_setaffinity(0, {set(cores)})\n"
            "runpy.run_module('charrnn_core', run_name='__main__', alter_sys=True)"
        )
        subprocess.run(
            [sys.executable, "-c", start, *words], check=True, capture_output=True,
            env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": ""},
        )  # fmt: skip
    assert_same(tmp_path / "one", bits(tmp_path / "all"))
