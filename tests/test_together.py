"""One training by many processes: the same bits as by one, and nothing hangs."""

import itertools
import json
import random
import re
import shutil
import signal
import time

import hypothesis
import hypothesis.strategies as st
import pytest

from charrnn_core.errors import OptionError
from charrnn_core.runs.writer import RunWriter
from charrnn_core.training.joining import Joining
from tests.conftest import PLAIN_OPTIONS
from tests.loopback import running_mirror, status
from tests.processes import Training, demand_same_runs, done, free_port
from tests.resuming import assert_same, bits

TEXT = "".join(random.Random(0).choices("abcdefgh ij\n.", k=20_000))


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


def command(out, *more, shards=2, cell="elman:16", chars=8000):
    """A training of a moment: its text, its sizes and what it logs."""
    return (
        "run", "--out", out, "--source", "text.txt", "--cell", cell, "--chars", chars, "--batch", 8,
        "--window", 8, "--shards", shards, "--eval-every", 0.1, "--sample-every", 0.2,
        "--sample-length", 9, "--quiet", *more,
    )  # fmt: skip


def test_two_processes_train_what_one_does(tmp_path, text):
    """Two devices, of one process or of two; only the leader prints."""
    noise = (*PLAIN_OPTIONS, "--dropout-output", 0.3)
    done(tmp_path, 1, 2, *command("one", *noise), explicit=False)
    training = done(tmp_path, 2, 1, *command("two", *noise))
    assert "sample    " in training.printed(0, "out")
    assert [training.printed(1, kind) for kind in ("out", "err")] == ["", ""]
    demand_same_runs(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(("how", "message"), [
    ({"coordinator": "here:1", "count": 2}, "all of --coordinator HOST:PORT, --num-processes N "),
    ({"launcher": "auto", "number": 0}, "leave out the one or the others"),
    ({"coordinator": "here:1", "count": 2, "number": 2}, "process id is 2; expected 0 to 1"),
    ({"coordinator": "here", "count": 2, "number": 0}, "coordinator is 'here'; expected HOST:PORT"),
    ({"launcher": "slurm", "heartbeat": 0.5}, "heartbeat is 0.5; expected 1 second or more"),
])  # fmt: skip
def test_what_is_said_of_the_others_has_to_make_sense(how, message):
    with pytest.raises(OptionError, match=message):
        Joining(**how)


def test_the_command_line_says_so_too(charrnn):
    done = charrnn("run", "--num-processes", 2)
    assert done.returncode == 2 and "Error: to work with other processes, all of" in done.stderr


VARIATIONS = {
    "noise and averages": ("--cell", "lstm:16", "--dropout-output", 0.3, "--average", 0.9),
    "a plain scan": (
        "--cell",
        "gru:16",
        "--unroll",
        "scan",
        "--dropout-input",
        0.2,
        *PLAIN_OPTIONS,
    ),
    "zoneout": (
        "--cell",
        "lstm:16",
        "--cell-opt",
        "zoneout_h=0.2",
        "--cell-opt",
        "zoneout_c=0.3",
        "--cell-opt",
        "dropout=0.1",
    ),
    "documents": ("--documents", ". ", "--dropout-rare", 0.5, "--dropout-context", 0.1),
    "skips": ("--non-finite", "skip", "--cell", "stacked:elman:8,gru:8", "--embedding", 8),
    "muon": ("--optimizer", "muon", "--cell", "gru:16", *PLAIN_OPTIONS),
}


def demand_same_in_one_two_and_four(folder, *arguments):
    """Train in four shards, which have one, two and four processes."""
    for count in (1, 2, 4):
        words = ("run", "--out", folder / str(count), "--shards", 4, *arguments)
        done(folder, count, 4 // count, *words, explicit=count > 1)
    demand_same_runs(folder / "1", folder / "2")
    demand_same_runs(folder / "1", folder / "4")


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIATIONS)
def test_four_shards_are_the_same_in_one_two_and_four_processes(tmp_path, text, name):
    sizes = ("--source", "text.txt", "--cell", "elman:16", "--batch", 16, "--window", 16)
    logged = ("--eval-every", 2, "--sample-every", 3, "--sample-length", 9, "--quiet")
    demand_same_in_one_two_and_four(
        tmp_path, *sizes, "--chars", 200_000, *logged, *VARIATIONS[name]
    )


RATES = st.sampled_from([0.0, 0.2, 0.5])


@pytest.mark.slow
@hypothesis.settings(max_examples=4, derandomize=True)
@hypothesis.given(
    cell=st.sampled_from(["elman:5", "gru:6", "lstm:7", "stacked:gru:4,mingru:5", "rhn:6"]),
    unroll=st.sampled_from(["auto", "engine", "scan", "parallel"]),
    optimizer=st.sampled_from(["adam", "nadam", "muon", "sgd"]),
    batch=st.sampled_from([4, 12, 20]),
    window=st.integers(3, 20),
    context=st.sampled_from([0, 3]),
    dropout=st.tuples(RATES, RATES),
    average=RATES,
    documents=st.sampled_from([(), ("--documents", ". "), ("--documents", "lines")]),
    seed=st.integers(0, 99),
)
def test_any_settings_are_the_same_in_one_two_and_four_processes(
    tmp_path_factory, cell, unroll, optimizer, batch, window, context, dropout, average,
    documents, seed,
):  # fmt: skip
    folder = tmp_path_factory.mktemp("any")
    (folder / "text.txt").write_text(TEXT)
    sizes = ("--cell", cell, "--batch", batch, "--window", window, "--chars", 20_000)
    how = ("--unroll", unroll, "--optimizer", optimizer, "--context", context, "--seed", seed)
    noise = ("--dropout-input", dropout[0], "--dropout-output", dropout[1], "--average", average)
    demand_same_in_one_two_and_four(
        folder, "--source", "text.txt", *sizes, *how, *noise, *documents, "--sample-length", 5,
        "--quiet",
    )  # fmt: skip


@pytest.mark.slow
def test_subsequences_are_one_stream_that_two_processes_cannot_share(tmp_path, text):
    more = ("--batching", "subsequences", "--stretch", 200)
    with Training(tmp_path, 2, 1, *command("two", *more, shards=2)) as training:
        assert training.wait() == [2, 2]
        assert "expected a number that divides the batch of 1 streams" in training.printed(0)
    assert not (tmp_path / "two").exists()


@pytest.mark.slow
def test_a_rollback_is_the_same_everywhere(tmp_path, text):
    wild = (
        "--non-finite",
        "rollback",
        "--cell",
        "elman:16",
        "--cell-opt",
        "activation=relu",
        "--optimizer",
        "sgd",
        "--lr",
        3e4,
        "--optimizer-opt",
        "clip=0",
        *PLAIN_OPTIONS,
    )
    codes = {}
    for count in (1, 2):
        arguments = command(str(count), *wild)
        with Training(tmp_path, count, 2 // count, *arguments, explicit=count > 1) as training:
            codes[count] = training.wait()
    assert len(set(itertools.chain(*codes.values()))) == 1, codes
    assert (tmp_path / "1" / "incidents.jsonl").exists()
    demand_same_runs(tmp_path / "1", tmp_path / "2")


@pytest.fixture
def running(tmp_path, text):
    """Start a long training of three processes, and wait until it trains."""
    started = []

    def start(*more, count=3, **how):
        arguments = command("run", "--heartbeat", 2, *PLAIN_OPTIONS, *more,
                            shards=count, chars=10**9)  # fmt: skip
        arguments = (*arguments, "--batch", 12, "--epochs", 10**6)
        started.append(Training(tmp_path, count, 1, *arguments, **how))
        metrics = tmp_path / "run" / "metrics.jsonl"
        until(lambda: metrics.exists() and metrics.stat().st_size, started[-1])
        return started[-1]

    yield start
    for training in started:
        training.kill()


def until(happened, training, seconds=120):
    for _ in range(seconds * 10):
        if happened():
            return
        assert all(p.poll() is None for p in training.processes), training.printed(0)
        time.sleep(0.1)
    raise AssertionError("it does not happen")


def check_resumable(tmp_path):
    """The newest checkpoint is good, and nobody holds the run."""
    with RunWriter.resuming(tmp_path / "run", pytest.fail) as writer:
        assert writer.newest is not None


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_when_one_is_killed_all_others_end_and_name_it(tmp_path, running, victim):
    training = running()
    training.processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert max(training.ends()) - began < 2
    codes = training.wait()
    for number, code in enumerate(codes):
        if number != victim:
            assert code == 1, (codes, training.printed(number))
            line = f"Error: process {victim} of 3 has ended without a word; to go on, use in all"
            assert training.printed(number).splitlines()[-1].startswith(line)
            assert training.printed(number).count("Error: ") == 1
    check_resumable(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_freezes_all_others_end_and_name_it(tmp_path, running, victim):
    training = running()
    training.processes[victim].send_signal(signal.SIGSTOP)
    for number in {0, 1, 2} - {victim}:
        assert training.processes[number].wait(2 + 5) == 1  # the heartbeat, and 5 seconds
        assert f"Error: process {victim} of 3 has not answered for 2 seconds; to go on," in (
            training.printed(number)
        )
    training.kill()
    check_resumable(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("one", [0, 2])
def test_a_signal_to_one_stops_all(tmp_path, running, one):
    training = running()
    training.processes[one].send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert max(training.ends()) - began < 5
    assert training.wait() == [143] * 3
    assert "interrupted: progress so far is saved" in training.printed(0)
    assert training.printed(1) == ""
    check_resumable(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("one", [0, 1])
def test_a_signal_before_training_ends_all_at_once(tmp_path, text, one):
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom charrnn_core import SourcePlugin, hookimpl\n"
        "@hookimpl\ndef charrnn_sources():\n"
        "    yield SourcePlugin(name='slow', target='slow:read', summary='takes its time')\n"
        "def read(argument, options, context):\n    print('reading')\n    time.sleep(100)\n"
    )
    arguments = [*command("run", *PLAIN_OPTIONS, "--plugin", slow)]
    arguments[arguments.index("text.txt")] = "slow"
    with Training(tmp_path, 2, 1, *arguments) as training:
        until(lambda: "reading" in training.printed(0), training)
        training.processes[one].send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert max(training.ends()) - began < 1
        assert training.wait() == [143, 143], training.printed(0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbs, how to make it, and how many seconds that took."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text(TEXT)
    arguments = command(
        folder / "run", *PLAIN_OPTIONS, "--dropout-output", 0.3, "--save-every", 0.001, shards=4,
        chars=100_000,
    )  # fmt: skip
    done(folder, 2, 2, *arguments)  # compiles
    shutil.rmtree(folder / "run")
    began = time.monotonic()
    done(folder, 2, 2, *arguments)
    return folder / "run", arguments, time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_a_run_that_is_killed_goes_on_in_any_number_of_processes(tmp_path, text, whole, number):
    run, arguments, seconds = whole
    draw = random.Random(number)
    killed = [tmp_path / "run" if word == run else word for word in arguments]
    with Training(tmp_path, 2, 2, *killed) as training:
        until(lambda: (tmp_path / "run").exists(), training)
        time.sleep(draw.uniform(0, 0.9 * seconds))
        training.processes[draw.randrange(2)].send_signal(signal.SIGKILL)
        training.ends()
    count = (1, 2, 4)[number % 3]
    if not (tmp_path / "run" / "evaluation.json").exists():
        done(tmp_path, count, 4 // count, *killed, "--or-resume", explicit=count > 1)
    assert_same(tmp_path / "run", bits(run))


@pytest.mark.slow
def test_what_differs_is_refused_with_both_values(tmp_path, text):
    each = {1: (("--window", 16), {})}
    with Training(tmp_path, 2, 1, *command("run", *PLAIN_OPTIONS), each=each) as training:
        assert training.wait(60) == [2, 2]
        line = "window is 8 for process 0 and 16 for process 1; expected the same for all"
        assert line in training.printed(0)
    assert not (tmp_path / "run").exists()
    with Training(tmp_path, 2, 1, *command("run", *PLAIN_OPTIONS, shards=3)) as training:
        assert training.wait(60) == [2, 2]
        line = "Error: shards is 3; expected a multiple of 2, the number of processes"
        assert line in training.printed(0)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    with Training(tmp_path, 2, 1, *command("run", *PLAIN_OPTIONS)) as training:
        assert training.wait(60) == [1, 1]
        assert "already holds a run" in training.printed(0)
        assert "Error: process 0 of 2 has ended: " in training.printed(1)


@pytest.mark.slow
def test_launchers_are_known_by_their_variables(tmp_path, text):
    port = free_port()

    def slurm(number):
        return {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_PROCID": str(number),
                "SLURM_LOCALID": str(number), "SLURM_STEP_NODELIST": "localhost",
                "JAX_COORDINATOR_PORT": str(port)}  # fmt: skip

    def ompi(number):
        return {
            "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:43911",
            "OMPI_COMM_WORLD_SIZE": "2",
            "OMPI_COMM_WORLD_RANK": str(number),
            "OMPI_COMM_WORLD_LOCAL_RANK": str(number),
            "JAX_COORDINATOR_PORT": str(port),
        }

    for name, variables in (("slurm", slurm), ("ompi", ompi)):
        each = {i: ((f"--distributed={name}",), variables(i)) for i in range(2)}
        done(tmp_path, 2, 1, *command(name, *PLAIN_OPTIONS), each=each, explicit=False)
    demand_same_runs(tmp_path / "slurm", tmp_path / "ompi")


@pytest.mark.slow
def test_nobody_joins_who_is_not_asked_to(tmp_path, text):
    alone = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_PROCID": "1",
             "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "localhost"}  # fmt: skip
    done(tmp_path, 1, 1, *command("alone", *PLAIN_OPTIONS, shards=1), env=alone, explicit=False)


@pytest.mark.slow
def test_minutes_count_by_the_leaders_clock(tmp_path, text):
    arguments = list(command("run", *PLAIN_OPTIONS))
    at = arguments.index("--chars")
    arguments[at : at + 2] = ["--minutes", 0.1]
    done(tmp_path, 2, 1, *arguments)
    ended = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert ended["reason"] == "finished" and ended["step"] > 10


@pytest.fixture
def plugin(tmp_path):
    """Write a file that one of the processes gets as a plugin, to make it unlike the others."""

    def write(name, code):
        path = tmp_path / f"{name}.py"
        offers = (
            "from charrnn_core import SourcePlugin, hookimpl\n@hookimpl\ndef charrnn_sources():\n"
            f"    yield SourcePlugin(name='{name}', target='{name}:none', summary='unused')\n"
        )
        path.write_text(code + offers)
        return [{number: (("--plugin", path), {})} for number in range(2)]

    return write


@pytest.mark.slow
def test_no_clock_but_the_leaders_counts(tmp_path, text, plugin):
    """That of the other is an hour ahead, and every look at it takes a while."""
    late = plugin(
        "late",
        "import time\nreal = time.monotonic\ndef ahead():\n"
        "    time.sleep(0.02)\n    return real() + 3600\ntime.monotonic = ahead\n",
    )
    done(tmp_path, 2, 1, *command("one", *PLAIN_OPTIONS))
    done(tmp_path, 2, 1, *command("late", *PLAIN_OPTIONS), each=late[1])
    demand_same_runs(tmp_path / "one", tmp_path / "late")


@pytest.mark.slow
def test_other_updates_than_the_leader_makes_are_an_error(tmp_path, text, plugin):
    more = plugin(
        "more",
        "from charrnn_core.training.pace import Pace\nnext_call = Pace.next_call\n"
        "def other(self, step, room):\n    count, total = next_call(self, step, room)\n"
        "    return (count + 1 if step > 20 else count), total\nPace.next_call = other\n",
    )
    with Training(tmp_path, 2, 1, *command("run", *PLAIN_OPTIONS), each=more[1]) as training:
        assert training.wait(60) == [1, 1]
        assert "the processes are about to make different updates, up to [" in training.printed(0)
    check_resumable(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit, of util-linux")
def test_a_full_disk_of_the_leader_ends_all(tmp_path, text):
    """It may write no file as large as its first checkpoint."""
    arguments = command("run", *PLAIN_OPTIONS, cell="lstm:300", chars=10**6)
    off = {"CHARRNN_COMPILE_CACHE": "off", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    limited = {0: ["prlimit", "--fsize=1000000"]}
    with Training(tmp_path, 2, 1, *arguments, under=limited, env=off) as training:
        leader, other = training.ends(120)
        assert abs(other - leader) < 2
        assert training.wait() == [1, 1]
        assert "Error: cannot write " in training.printed(0)
        assert "Error: process 0 of 2 has ended: cannot write " in training.printed(1)
    assert not (tmp_path / "run" / "checkpoints").exists() or not [
        *(tmp_path / "run" / "checkpoints").iterdir()
    ]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_only_the_leader_writes(tmp_path, text):
    """No system call of the other changes the run's directory, or anything in it."""
    run = tmp_path / "by-one"
    traced = {1: ["strace", "-f", "-s", 4096, "-o", tmp_path / "calls", "-e", "trace=%file"]}
    traced[1] = [*map(str, traced[1])]
    for words in (command(run, *PLAIN_OPTIONS), ("resume", run, "--chars", 12_000, "--quiet")):
        training = done(tmp_path, 2, 1, *words, under=traced)
        assert training.printed(1) == ""
        calls = (tmp_path / "calls").read_text().splitlines()
        assert any('"text.txt"' in call for call in calls)  # they are there to be found
        changes = re.compile("O_WRONLY|O_RDWR|O_CREAT| (creat|mkdir|rename|unlink|link|symlink)")
        assert [call for call in calls if str(run) in call and changes.search(call)] == []


@pytest.mark.slow
def test_four_processes_with_one_cache_make_one_download_and_one_encoding(tmp_path, plugin):
    counted = plugin(
        "counted",
        "import charrnn_core.text.encode as encode, os\nencode.IN_MEMORY = 1000\n"
        "write = encode.write_ids\ndef noted(*args):\n"
        "    with open('encodings', 'a') as file:\n        file.write(f'{os.getpid()}\\n')\n"
        "    write(*args)\nencode.write_ids = noted\n",
    )
    everywhere = {number: counted[0][0] for number in range(4)}
    with running_mirror() as mirror:
        reply = status(200, TEXT.encode(), **{"Content-Type": "text/plain; charset=utf-8"})
        arguments = list(command("run", *PLAIN_OPTIONS, shards=4))
        arguments[arguments.index("text.txt")] = mirror.serve("/tale.txt", reply)
        done(tmp_path, 4, 1, *arguments, each=everywhere)
        assert mirror.paths() == ["/tale.txt"]
    assert len({*(tmp_path / "encodings").read_text().split()}) == 1  # process


@pytest.mark.slow
def test_what_is_piped_into_the_leader_all_read(tmp_path, text):
    arguments = list(command("piped", *PLAIN_OPTIONS))
    arguments[arguments.index("text.txt")] = "-"
    done(tmp_path, 2, 1, *arguments, stdin=text)
    done(tmp_path, 2, 1, *command("read", *PLAIN_OPTIONS))
    demand_same_runs(tmp_path / "read", tmp_path / "piped")
    for name in ("piped", "read"):
        done(tmp_path, 2, 1, "resume", name, "--chars", 12_000, "--quiet")
    demand_same_runs(tmp_path / "read", tmp_path / "piped")


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--mix", "ngram", "--streams", 8), ("--dynamic",)])
def test_a_text_is_scored_by_all_and_only_the_leader_has_the_run(tmp_path, text, more):
    """Other streams of a device round differently, as a batch of another size does."""
    done(tmp_path, 1, 1, *command("run", shards=1), explicit=False)
    (tmp_path / "other.txt").write_text(TEXT[:5000])
    results = []
    for count in (1, 2):
        arguments = ("eval", "run", "--json", "--source", "other.txt", *more)
        each = {1: ((), {"HOME": str(tmp_path / "nobody")})}
        with Training(tmp_path, count, 1, *arguments, each=each, explicit=count > 1) as scoring:
            assert scoring.wait() == [0] * count, [scoring.printed(i) for i in range(count)]
        results.append(json.loads(scoring.printed(0, "out")))
    assert [scoring.printed(1, kind) for kind in ("out", "err")] == ["", ""]
    one, two = results
    assert one.keys() == two.keys() and one["characters"] == 5000
    compared = 0
    for name in ("alone", "mixed", "dynamic"):
        assert (one[name] is None) == (two[name] is None)
        if one[name] is not None:
            compared += 1
            assert two[name]["nats_per_char"] == pytest.approx(one[name]["nats_per_char"], abs=1e-5)
    assert compared == 1 + bool(more)
    assert two["nats_per_char"] == pytest.approx(one["nats_per_char"], abs=1e-5)


@pytest.mark.slow
def test_every_character_has_the_bits_that_one_process_finds(tmp_path, text):
    done(tmp_path, 1, 1, *command("run", shards=1), explicit=False)
    (tmp_path / "other.txt").write_text(TEXT[:3000])
    one = done(tmp_path, 1, 1, "score", "run", "other.txt", explicit=False).printed(0, "out")
    two = done(tmp_path, 3, 1, "score", "run", "other.txt").printed(0, "out")
    bits = [[json.loads(line)["bits"] for line in each.splitlines()] for each in (one, two)]
    assert len(bits[0]) == 3000 and bits[1] == pytest.approx(bits[0], abs=1e-4)
