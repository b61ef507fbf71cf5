"""Many trainings: several at a time, one of an array, workers that are lost, and what stops all."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from charrnn_bench import benchmark as benchmarks
from charrnn_bench.benchmark import Benchmark
from charrnn_bench.plan import Plan
from charrnn_bench.progress import Display
from charrnn_bench.survey import Survey
from charrnn_bench.trainings import all_trainings

from charrnn_core import RunConfig
from charrnn_core.errors import CharRNNError, RunDirectoryError, TrainingError
from charrnn_core.files.atomic import is_locked, locked
from charrnn_core.jobs import parallel, process, training
from charrnn_core.jobs.parallel import Jobs
from charrnn_core.jobs.process import Ending, Surroundings
from charrnn_core.jobs.stopping import Interruption, Lifeline
from charrnn_core.jobs.training import Training
from tests.signalled import signalled

SETTINGS = "batch = 4\nwindow = 16\nembedding = 8\ncounts = 0\ncontext = 0\nsave_every = 0.01\n"
ENVIRONMENT = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
SURVEY = Survey(
    source="santa", sha256="0", unit="character", train_characters=900, held_out_characters=100,
    parameters={"elman:4": 1234, "gru:4": 5678}, baselines={"unigram": 2.5}, remarks=(),
    machine="a machine", versions={"jax": "1"}, shards=3,
)  # fmt: skip


class Told:
    """A stop that comes when it is told so."""

    has_come = False

    def pass_on(self, process):
        """Nothing is running."""


def made(directory: Path, title: str = "elman, seed 0", **more: object) -> Training:
    return Training(title=title, directory=directory / title.replace(", ", "-"), **more)


@pytest.mark.parametrize(
    ("codes", "resumable", "expected"),
    [
        ([0], True, Ending(None, 0)),
        ([-9, 0], True, Ending(None, 1)),
        ([-9, -9, -9], True, Ending("ended by SIGKILL", 3)),
        ([1], True, Ending("exit code 1", 0)),
        ([-11], True, Ending("ended by SIGSEGV", 0)),
        ([-9], False, Ending("ended by SIGKILL", 0)),
    ],
)
def test_what_was_killed_is_resumed_a_few_times(tmp_path, monkeypatch, codes, resumable, expected):
    left = list(codes)
    each = made(tmp_path, resumable=resumable)
    each.log.touch()
    monkeypatch.setattr(process, "_wait", lambda *about: (left.pop(0), 7))
    monkeypatch.setattr(Training, "status", lambda each: "running" if left else "finished")
    assert process.train(each, Surroundings(tmp_path), Told()) == expected and not left
    assert each.record() == {"exit_code": codes[-1], "peak_bytes": 7, "error": expected.error}


def test_nobody_else_trains_what_one_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_PATIENCE_SECONDS", 0.1)
    each = made(tmp_path)
    busy = f"elman, seed 0 is being trained by another process ({each.directory}); wait until"
    with each.claimed(), pytest.raises(RunDirectoryError, match=re.escape(busy)):
        process.train(each, Surroundings(tmp_path), Told())
    each.directory.mkdir()
    with locked(each.directory / ".lock"), pytest.raises(RunDirectoryError, match=re.escape(busy)):
        each.begin()  # left behind by a worker that was killed


def test_a_command_ends_when_who_started_it_is_gone(tmp_path):
    plugin = tmp_path / "slow.py"
    plugin.write_text("import time\nprint('begun', flush=True)\ntime.sleep(100)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "charrnn_core.jobs", "plugins", "--plugin", plugin],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdin is not None and command.stderr is not None
        assert command.stderr.readline() == "begun\n" and command.poll() is None
        command.stdin.close()
        assert command.wait(timeout=30) == -signal.SIGTERM


def test_a_lifeline_that_is_let_go_stops_a_process_once(tmp_path):
    line, sleeper = Lifeline(tmp_path / "lock"), subprocess.Popen(["sleep", "100"])
    try:
        with Lifeline(tmp_path / "lock").held() as hold:
            line.pass_on(sleeper)
            assert not line.has_come and sleeper.poll() is None
            hold.close()
            assert line.has_come
            line.pass_on(sleeper)
            assert sleeper.wait(timeout=10) == -signal.SIGTERM
        with Lifeline(tmp_path / "lock").held():
            assert line.has_come  # what was told to stop is not told otherwise
    finally:
        sleeper.kill()


def test_a_second_signal_is_for_whoever_waits_for_many():
    with Interruption(insistent=True) as interruption:
        signal.raise_signal(signal.SIGTERM)
        assert interruption.signal == signal.SIGTERM and interruption.has_come
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interruption.signal == signal.SIGTERM


def answering(monkeypatch, *rounds):
    """Let workers say these things, an exception being the end of them."""
    rest = iter(rounds)

    def answers(jobs, trainings):
        for kind, title in next(rest):
            [number] = [n for n, each in enumerate(trainings) if each.title == title]
            if kind == "lost":
                raise parallel._WorkerLostError("it was shot")
            if kind == "refused":
                yield parallel._Answer(number, refusal=f"{title} is taken")
            else:
                yield parallel._Answer(number, Ending(interrupted=kind == "interrupted"))

    monkeypatch.setattr(Jobs, "_answers", answers)
    return rest


def test_workers_that_are_lost_are_replaced(tmp_path, monkeypatch, capsys):
    trainings = [made(tmp_path, title) for title in "abc"]
    lost, ended = [("lost", "c")], []
    rest = answering(
        monkeypatch, lost, lost, [("done", "b")], [*lost], lost, [("done", "a"), ("done", "c")]
    )
    jobs = Jobs(2, tmp_path / "lock", Surroundings(tmp_path))
    assert jobs.train(trainings, ended=lambda each, ending: ended.append(each.title)) is None
    assert ended == ["b", "a", "c"] and next(rest, None) is None
    lines = capsys.readouterr().err.splitlines()
    assert lines == 2 * ["note: a worker was lost (it was shot); resuming a; b"] + 2 * [
        "note: a worker was lost (it was shot); resuming a; c"
    ]
    assert not is_locked(tmp_path / "lock")
    answering(monkeypatch, lost, lost, lost)
    with pytest.raises(
        TrainingError, match=r"lost 3 times while they trained a; b \(it was shot\)"
    ):
        jobs.train(trainings)


def test_one_that_cannot_begin_stops_the_others(tmp_path, monkeypatch):
    trainings = [made(tmp_path, title) for title in "abc"]
    answering(monkeypatch, [("refused", "a"), ("done", "c"), ("interrupted", "b")])
    ended = []
    with pytest.raises(CharRNNError, match="^a is taken$"):
        Jobs(2, tmp_path / "lock", Surroundings(tmp_path)).train(
            trainings, ended=lambda each, ending: ended.append(each.title)
        )
    assert ended == ["c"]


def test_workers_that_see_no_lock_are_named(tmp_path, monkeypatch):
    answering(monkeypatch, [("interrupted", "a")])
    with pytest.raises(TrainingError, match="do not see that .*lock is locked"):
        Jobs(2, tmp_path / "lock", Surroundings(tmp_path)).train([made(tmp_path, "a")])


def test_what_a_display_cannot_show_stops_all(tmp_path, monkeypatch):
    """An error of the thread that watches is not lost, and nothing hangs."""
    told = threading.Event()

    def answers(jobs, trainings):
        told.wait(10)
        while is_locked(jobs.lock):
            time.sleep(0.01)
        yield parallel._Answer(0, Ending(interrupted=True))

    def tick(running):
        told.set()
        raise ValueError("no room")

    monkeypatch.setattr(Jobs, "_answers", answers)
    with pytest.raises(ValueError, match="no room"):
        Jobs(2, tmp_path / "lock", Surroundings(tmp_path)).train([made(tmp_path, "a")], tick)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--jobs", 2], "jobs is 2 and the budget is a time"),
        (["--jobs", 2, "--index", 0], "makes no table; leave out --jobs"),
        (["--index", 0, "--json"], "makes no table; leave out --json"),
        (["--backend", "loky"], "--backend needs --jobs"),
        (["--index", 6], "index is 6; expected 0 to 5, because this benchmark has 6 trainings"),
        (["--index", -1], "index is -1; expected 0 to 5"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    charrnn, tmp_path, given, message
):
    done = charrnn("bench", "--cells", "elman,gru", "--out", tmp_path / "out", *given)
    assert done.returncode == 2 and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_said_in_one_line(charrnn, monkeypatch):
    def without(*missing):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name in missing else object()
        )

    for missing, backend, remedy in (
        ("joblib", "loky", "pip install 'charrnn[jobs]'"),
        ("joblib", "dask", "pip install 'charrnn[jobs]'"),
        ("distributed", "dask", "pip install 'dask[distributed]'"),
        ("ray", "ray", "pip install ray"),
    ):
        without(missing)
        with pytest.raises(CharRNNError, match=re.escape(f"{missing} is missing; {remedy}")):
            parallel.check_backend(backend)
    without("joblib")
    done = charrnn("bench", "--cells", "elman", "--jobs", 2, "--budget", "chars=1k")
    assert done.returncode == 1
    assert done.stderr == "Error: joblib is missing; pip install 'charrnn[jobs]'\n"


def test_dask_has_to_be_named(monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with pytest.raises(CharRNNError, match="^no scheduler of dask is named; set DASK_SCHEDULER"):
        parallel._client_of_dask()


def test_an_index_is_one_training_and_others_may_work_beside_it(tmp_path, monkeypatch):
    plan = Plan(("elman:4", "gru:4"), 2, RunConfig(characters=1000))
    begun = []
    monkeypatch.setattr(benchmarks, "take_survey", lambda plan: begun.append(plan) or SURVEY)

    def train_one(each, surroundings, stop, tick):
        assert surroundings.variables["JAX_NUM_CPU_DEVICES"] == "3"
        assert each.options[-2:] == ("--shards", "3")
        trained.append(each.title)
        return Ending()

    trained = []
    monkeypatch.setattr(benchmarks, "train", train_one)
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(Benchmark.opened(plan, tmp_path, "charrnn bench", shared=True))
            for _ in range(2)
        )
        whole = stack.enter_context(Benchmark.opened(None, tmp_path, ""))
        assert first.train(2) is None and second.train(1) is None
        assert trained == ["elman:4, seed 1", "gru:4, seed 0"] and len(begun) == 1
        whole.train()
    assert len(trained) == 6


def test_of_those_that_begin_at_the_same_time_one_reads_the_text(tmp_path, monkeypatch, capsys):
    plan = Plan(("elman:4", "gru:4"), 2, RunConfig(characters=1000))
    surveys = []
    other = Benchmark(tmp_path / "out", plan, SURVEY, "charrnn bench")
    monkeypatch.setattr(benchmarks, "take_survey", surveys.append)
    (tmp_path / "out").mkdir()
    held, begun = threading.Event(), threading.Event()

    def begin():
        with locked(tmp_path / "out" / ".beginning.lock"):
            held.set()
            begun.wait(10)
            other._write()

    def note(line):
        begun.set()
        assert line.startswith("waiting for another process, which is preparing")

    monkeypatch.setattr(benchmarks, "to_stderr", note)
    thread = threading.Thread(target=begin)
    thread.start()
    held.wait(10)
    with Benchmark.opened(plan, tmp_path / "out", "", shared=True) as benchmark:
        assert benchmark == other and not surveys
    thread.join()


def test_a_benchmark_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    def fail(plan):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmarks, "take_survey", fail)
    plan = Plan(("elman:4",), 1, RunConfig(characters=1000))
    with pytest.raises(KeyboardInterrupt), Benchmark.opened(plan, tmp_path / "runs" / "a", ""):
        pass
    assert not (tmp_path / "runs").exists()


def test_the_display_has_all_that_run(monkeypatch):
    display, shown = Display(5, 1), []
    monkeypatch.setattr(display._bar, "update", lambda task, **what: shown.append(what))
    display.at({"gru, seed 0": 0.25})
    display.at({"gru, seed 0": 0.25, "gru, seed 1": 0.5})
    assert [(each["completed"], each["description"].split("  ")[:2]) for each in shown] == [
        (1.25, ["2 of 5", "gru, seed 0"]),
        (1.75, ["1 of 5 done", "gru, seed 0 (25%); gru, seed 1 (50%)"]),
    ]


def test_an_older_benchmark_goes_on_as_it_began(tmp_path):
    """It did not note how many devices share the streams."""
    table = {name: value for name, value in SURVEY.table().items() if name != "shards"}
    survey = Survey.read(table)
    plan = Plan(("elman:4",), 1, RunConfig(characters=1000))
    [each] = all_trainings(plan, tmp_path, tmp_path / "settings.toml", survey.shards)
    assert "--shards" not in each.options
    assert not Benchmark(tmp_path, plan, survey, "")._surroundings.variables.get(
        "JAX_NUM_CPU_DEVICES"
    )


# What follows trains.


@pytest.fixture(scope="module")
def straight(tmp_path_factory, text_file):
    """The table of a benchmark that nothing disturbed, one training after the other."""
    folder = tmp_path_factory.mktemp("straight")
    done = subprocess.run(command(folder, text_file), capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return learnt(folder)


def command(folder: Path, text_file: Path, *more: object) -> list[str]:
    (folder / "settings.toml").write_text(SETTINGS)
    return signalled(
        sys.executable, "-m", "charrnn_core", "bench", "--cells", "elman:4", "--seeds", 2,
        "--source", text_file, "--budget", "chars=300k", "--config", folder / "settings.toml",
        "--out", folder / "out", *more,
    )  # fmt: skip


def learnt(folder: Path) -> tuple[object, ...]:
    """All figures of a table but times and memory, and every row that was logged."""
    data = json.loads((folder / "out" / "results.json").read_text())
    rows = [
        (row["name"], row["bits_per_char"], row["interval"], row["parameters"], row["seeds"])
        for row in data["rows"]
    ]
    logged = {}
    for file in sorted((folder / "out" / "trainings").glob("*/metrics.jsonl")):
        for line in file.read_text().splitlines():
            row = {k: v for k, v in json.loads(line).items() if "second" not in k}
            logged.setdefault(file.parent.name, []).append(row)
    assert len(logged) == 2
    return rows, logged


@pytest.fixture
def start(tmp_path, text_file):
    """Start it in a group of its own, as a terminal does, and leave nothing of it behind."""
    begun = []

    def call(*more):
        begun.append(
            subprocess.Popen(
                command(tmp_path, text_file, *more),
                env=ENVIRONMENT,
                start_new_session=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )  # fmt: skip
        )
        return begun[-1]

    yield call
    for each in begun:
        for pid, *_ in below(each.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        each.kill()
        each.communicate()


def below(pid: int) -> list[tuple[int, str]]:
    """The processes that a process has started, and those that these have, with their commands."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found, parents = [], {pid}
    for _ in range(4):
        for own, parent, *words in rows:
            if int(parent) in parents and int(own) not in parents:
                parents.add(int(own))
                found.append((int(own), " ".join(words)))
    return found


def wait_until_two_train(folder: Path, bench: "subprocess.Popen[str]") -> None:
    """Wait until two trainings have saved something."""
    for _ in range(3000):
        saved = {path.parent for path in (folder / "out").glob("trainings/*/checkpoints/*")}
        if len(saved) > 1:
            return
        assert bench.poll() is None, bench.communicate()
        time.sleep(0.02)
    raise AssertionError("nothing was saved in a minute")


def gone(pids: list[int], seconds: float = 20) -> bool:
    """Whether none of these processes is left after a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_all_indices_at_the_same_time_give_the_table_of_the_sequence(
    start, straight, tmp_path, text_file
):
    begun = [start("--index", index) for index in range(2)]
    for index, each in enumerate(begun):
        out, err = each.communicate(timeout=300)
        assert each.returncode == 0 and out == "", err
        assert f"training {index} of 0 to 1, " in err and " is done; " in err
    assert not (tmp_path / "out" / "results.md").exists()
    again = start("--index", 1)
    assert "elman:4, seed 1, is done; 2 of 2 are done; the table: " in again.communicate()[1]
    last = start()
    _, err = last.communicate(timeout=100)
    assert last.returncode == 0 and "[" not in err, err
    assert learnt(tmp_path) == straight


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["popen_loky", "charrnn_core.jobs"])
def test_what_was_killed_is_resumed_and_the_table_is_that_of_the_sequence(
    start, straight, tmp_path, victim
):
    bench = start("--jobs", 2)
    wait_until_two_train(tmp_path, bench)
    pid = next(pid for pid, words in below(bench.pid) if victim in words)
    os.kill(pid, signal.SIGKILL)
    out, err = bench.communicate(timeout=300)
    assert bench.returncode == 0 and "Traceback" not in err, err
    told = {
        "popen_loky": "note: a worker was lost (TerminatedWorkerError: ",
        "charrnn_core.jobs": "(its process was killed 1 time)",
    }
    assert told[victim] in err and "[2 of 2] " in err
    assert learnt(tmp_path) == straight


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_what_stops_it_stops_all_and_it_goes_on(start, straight, tmp_path, how):
    bench = start("--jobs", 2)
    wait_until_two_train(tmp_path, bench)
    workers = below(bench.pid)
    trainings = [pid for pid, words in workers if "charrnn_core.jobs" in words]
    assert len(trainings) == 2
    if how == "Ctrl-C":
        os.killpg(bench.pid, signal.SIGINT)
    else:
        bench.send_signal(getattr(signal, how))
    out, err = bench.communicate(timeout=60)
    code = {"Ctrl-C": 130, "SIGTERM": 143, "SIGKILL": -signal.SIGKILL}[how]
    assert bench.returncode == code and out == "" and "Traceback" not in err, err
    if how != "SIGKILL":
        assert re.search(r"interrupted: [012] of 2 trainings are done and kept; resume with", err)
        trainings = [pid for pid, _ in workers]  # workers of one who was killed wait for a while
    assert gone(trainings)
    rest = start("--jobs", 2)
    _, err = rest.communicate(timeout=300)
    assert rest.returncode == 0, err
    assert learnt(tmp_path) == straight
