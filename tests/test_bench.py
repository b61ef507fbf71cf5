"""``charrnn bench``: real trainings of tiny cells, interrupted ones, and its arithmetic by hand."""

import dataclasses
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from charrnn_bench import command, table
from charrnn_bench.benchmark import Benchmark
from charrnn_bench.budget import BudgetError, read_budget
from charrnn_bench.curves import draw
from charrnn_bench.intervals import mean_interval, student
from charrnn_bench.plan import Plan, make_plan
from charrnn_bench.results import Outcome, Point, make_rows, read_outcome
from charrnn_bench.screen import text
from charrnn_bench.survey import Survey
from charrnn_bench.trainings import CellTraining, all_trainings

from charrnn_core import RunConfig
from charrnn_core.errors import (
    CharRNNError,
    OptionError,
    RunDirectoryError,
    SpecError,
    UnknownNameError,
)
from charrnn_core.evaluation.baselines import kneser_ney_nats, unigram_nats
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.split import Split
from tests.signalled import signalled

SETTINGS = "batch = 4\nwindow = 16\nembedding = 8\ncounts = 0\n"
ENVIRONMENT = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}


def arguments(text_file: Path, out: Path) -> list[str]:
    config = out.parent / "settings.toml"
    config.write_text(SETTINGS)
    return [
        "--cells", "elman:4,gru:4", "--source", str(text_file), "--budget", "chars=20k",
        "--seeds", "2", "--config", str(config), "--out", str(out),
    ]  # fmt: skip


def bench(*given: object) -> "subprocess.CompletedProcess[str]":
    """Run the real command, which starts several more."""
    return subprocess.run(
        [sys.executable, "-m", "charrnn_core", "bench", *map(str, given)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def longer(tmp_path_factory, small_text):
    """A text of which enough is held out for xz to say something."""
    path = tmp_path_factory.mktemp("longer") / "longer.txt"
    path.write_text(small_text * 3)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, longer):
    """A benchmark of two cells and two seeds, and what its command said."""
    out = tmp_path_factory.mktemp("bench") / "out"
    done = bench(*arguments(longer, out), "--json")
    assert done.returncode == 0, done.stderr
    return out, done


def learnt(data):
    """What of the results does not depend on the clock."""
    return [
        (row["name"], row["bits_per_char"], row["interval"], row["parameters"], row["seeds"])
        for row in data["rows"]
    ], [
        [(point["characters"], point["bits_per_char"]) for point in outcome["curve"]]
        for row in data["rows"]
        for outcome in row["outcomes"]
    ]


def test_the_table_the_plots_and_the_data(finished, longer):
    out, done = finished
    data = json.loads(done.stdout)
    assert data == json.loads((out / "results.json").read_text())
    elman, gru, ngram, xz, unigram = data["rows"]
    assert [row["name"].split(",")[0] for row in data["rows"]] == [
        "elman:4", "gru:4", "n-gram", "xz -9e", "unigram",
    ]  # fmt: skip
    # 8 of embedding for each symbol and each row of the context, U, W and b, and the readout.
    symbols = len(set(longer.read_text()))
    assert elman["parameters"] == 8 * (symbols + 5 * 2**10) + 8 * 4 + 4 * 4 + 4 + (4 + 1) * symbols
    for row in (elman, gru):
        bits = [outcome["bits_per_char"] for outcome in row["outcomes"]]
        assert row["seeds"] == 2 and row["interval_over"] == "seeds" and bits[0] != bits[1]
        assert row["bits_per_char"] == pytest.approx(sum(bits) / 2)
        low, high = row["interval"]
        reach = 12.7062 * abs(bits[0] - bits[1]) / 2  # s / sqrt(2) of two is half their distance
        assert (high - low) / 2 == pytest.approx(reach, rel=1e-4)
        assert row["characters_per_second"] > 0 and 50 < row["peak_mebibytes"] < 5000
        for outcome in row["outcomes"]:
            last = outcome["curve"][-1]
            assert last["characters"] >= 20_000
            assert last["bits_per_char"] == pytest.approx(outcome["bits_per_char"])
    text = longer.read_text()
    alphabet = Alphabet("".join(sorted(set(text))))
    ids = encode_corpus(Corpus(text=text, name="", origin=""), alphabet, "error", print)
    split = Split.named("last-10%")
    parts = split.training(ids), split.pieces(ids, "valid", 0), symbols
    for row, nats in ((unigram, unigram_nats(*parts)), (ngram, kneser_ney_nats(*parts))):
        assert row["bits_per_char"] == pytest.approx(nats / math.log(2), rel=1e-6)
    markdown = (out / "results.md").read_text()
    assert f"| elman:4 | {elman['bits_per_char']:.4f} | " in markdown
    assert "characters held out (last-10%)" in markdown and "charrnn bench --cells" in markdown
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "gru:4" in (out / "curves.svg").read_text()
    lines = done.stderr.splitlines()
    assert [line[:8] for line in lines if line.startswith("[")] == [
        f"[{i} of 4]" for i in (1, 2, 3, 4)
    ]
    assert len(xz["outcomes"]) == 0


def test_again_it_gives_the_same_files_and_trains_nothing(finished):
    out, _ = finished
    names = ("results.md", "results.json", "curves.png", "curves.svg")
    before = [(out / name).read_bytes() for name in names]
    done = bench("--out", out)
    assert done.returncode == 0 and "[" not in done.stderr
    assert [(out / name).read_bytes() for name in names] == before
    assert done.stdout.splitlines()[2].startswith("cell ")


@pytest.mark.slow
def test_two_at_a_time_give_the_same_table(finished, tmp_path):
    """Of a copy two trainings are taken away; `tests/test_jobs.py` has all, and job arrays."""
    straight, done = finished
    out = tmp_path / "out"
    shutil.copytree(straight, out)
    for left in (out / "trainings").glob("*-seed-1*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    two = bench("--out", out, "--jobs", 2, "--json")
    assert two.returncode == 0 and "[4 of 4] " in two.stderr, two.stderr
    assert learnt(json.loads(two.stdout)) == learnt(json.loads(done.stdout))


@pytest.mark.slow
def test_interrupted_and_resumed_it_gives_the_same_table(finished, tmp_path):
    """Of a copy two trainings are taken away; the second of them runs after an interruption."""
    straight, done = finished
    out = tmp_path / "out"
    shutil.copytree(straight, out)
    for left in (out / "trainings").glob("*-seed-1*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    for name in ("results.md", "results.json", "curves.png", "curves.svg"):
        (out / name).unlink()
    process = subprocess.Popen(
        signalled(sys.executable, "-m", "charrnn_core", "bench", "--out", out),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    try:
        third = out / "trainings" / "1-elman-4-seed-1.json"
        wait_for(third.exists, process)
        wait_for((third.parent / "2-gru-4-seed-1.log").exists, process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert stdout == "" and "Traceback" not in stderr
    [line] = [line for line in stderr.splitlines() if line.startswith("interrupted: ")]
    assert line.startswith("interrupted: 3 of 4 trainings are done") and f"--out {out}" in line
    assert not (out / "results.md").exists()
    kept = third.read_bytes(), third.with_suffix(".log").stat().st_mtime_ns
    resumed = bench("--out", out, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert "[4 of 4] gru:4, seed 1: " in resumed.stderr
    assert (third.read_bytes(), third.with_suffix(".log").stat().st_mtime_ns) == kept
    assert learnt(json.loads(resumed.stdout)) == learnt(json.loads(done.stdout))


def wait_for(happened, process):
    for _ in range(6000):
        if happened():
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.05)
    raise AssertionError("it has not happened in five minutes")


@pytest.mark.slow
def test_what_fails_is_a_row_and_the_rest_goes_on(text_file, tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "import sys\n"
        "from charrnn_core import CellPlugin, NoOptions, hookimpl\n"
        "def broken():\n"
        "    if 'run' in sys.argv:\n"
        "        raise RuntimeError('it does not fit')\n"
        "    from flax.linen import SimpleCell\n"
        "    return SimpleCell(4)\n"
        "@hookimpl\n"
        "def charrnn_cells():\n"
        "    yield CellPlugin(name='broken', target=broken, options=NoOptions, summary='')\n"
    )
    out = tmp_path / "out"
    given = ["--plugin", plugin, "--cells", "broken,elman:4", "--source", text_file,
             "--budget", "chars=4000", "--seeds", 1, "--out", out]  # fmt: skip
    done = bench(*given)
    assert done.returncode == 1, done.stderr
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert rows[0]["bits_per_char"] is None and rows[0]["outcomes"][0]["curve"] == []
    error = rows[0]["outcomes"][0]["error"]
    assert "it does not fit" in error
    assert f"failed: broken, seed 0: {error}" in done.stdout and " failed " in done.stdout
    low, high = rows[1]["interval"]
    assert rows[1]["interval_over"] == "text" and low < rows[1]["bits_per_char"] < high
    assert "intervals *: " in done.stdout and "only one seed" in done.stdout
    # What has failed is tried again, what is done is not.
    log = out / "trainings" / "2-elman-4-seed-0.log"
    before = log.stat().st_mtime_ns
    again = bench(*given)
    assert again.returncode == 1 and log.stat().st_mtime_ns == before
    assert [line for line in again.stderr.splitlines() if line.startswith("[")] == [
        f"[2 of 2] broken, seed 0: failed: {error}"
    ]


def test_what_no_training_could_do_is_refused_before_the_first(text_file, tmp_path):
    given = ("--cells", "elman:4,gru:4", "--source", text_file, "--out", tmp_path / "out")
    done = bench(*given, "--budget", "params=10")
    assert done.returncode == 2 and "parameters is 10" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_another_plan_in_the_same_directory_is_refused(finished, longer):
    out, _ = finished
    other = make_plan(["elman:4,gru:8"], [], source=str(longer), budget=["chars=20k"], seeds=2)
    with (
        pytest.raises(OptionError, match=r'batch was 4 and is 32; cells was \["elman:4", "gru:4"'),
        Benchmark.opened(other, out, ""),
    ):
        pass


def test_mistakes_are_told(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'elman'"):
        make_plan(["lstm,elmann"], [])
    with pytest.raises(OptionError, match="features"):
        make_plan(["lstm,elman:0"], [])
    with pytest.raises(SpecError):
        make_plan(["lstm,"], [])
    with pytest.raises(OptionError, match="no cells given"):
        make_plan([], [])
    with pytest.raises(OptionError, match="'lstm' is given twice"):
        make_plan(["lstm"], ["lstm"])
    with pytest.raises(OptionError, match="standard input"):
        make_plan(["lstm"], [], source="-")
    with (
        pytest.raises(RunDirectoryError, match="has no benchmark to resume"),
        Benchmark.opened(None, tmp_path, ""),
    ):
        pass
    (tmp_path / "bench.json").write_text("{}")
    with (
        pytest.raises(RunDirectoryError, match="was not written by 'charrnn bench'"),
        Benchmark.opened(None, tmp_path, ""),
    ):
        pass


def test_cells_with_commas_are_never_misread():
    plan = make_plan(["elman:4, gru", "stacked:lstm:8*2"], ["stacked:elman:8,gru:8"])
    assert plan.cells == ("elman:4", "gru", "stacked:lstm:8*2", "stacked:elman:8,gru:8")
    with pytest.raises(OptionError, match="is ambiguous"):
        make_plan(["stacked:lstm:64,lstm:64"], [])


@pytest.mark.parametrize(
    "texts, settings",
    [
        (["60s"], {"minutes": 1.0}),
        (["2m"], {"minutes": 2.0}),
        ([".5h"], {"minutes": 30.0}),
        (["10s", "params=1M"], {"minutes": 10 / 60, "parameters": "1M"}),
        (["params=300k,chars=50M"], {"parameters": "300k", "characters": "50M"}),
    ],
)
def test_budgets(texts, settings):
    assert read_budget(texts) == pytest.approx(settings)


@pytest.mark.parametrize(
    "texts", [["60"], ["60 seconds"], ["chars"], ["cells=3"], ["1m", "60s"], ["1m,chars=5"], [""]]
)
def test_budgets_that_are_refused(texts):
    with pytest.raises(OptionError, match="budget"):
        read_budget(texts)


def test_a_budget_of_the_file_counts_unless_another_is_given(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("epochs = 3\nseed = 7\ncell = 'gru'\n")
    settings = make_plan(["lstm"], [], config=file).settings
    assert (settings.epochs, settings.minutes) == (3, None)
    plan = make_plan(["lstm"], [], config=file, budget=["chars=1k"])
    assert (plan.settings.epochs, plan.settings.characters) == (None, 1000)
    config = plan.config("lstm", 2)
    assert (config.cell.use, config.seed) == ("lstm", 2)
    assert make_plan(["lstm"], []).settings.minutes == 1.0
    assert Plan.read(plan.table()).differences(plan) == []


def test_intervals_by_hand():
    # Two-sided 95 % quantiles, as printed in Student's table.
    printed = {1: 12.706, 2: 4.303, 3: 3.182, 5: 2.571, 9: 2.262, 30: 2.042, 120: 1.980}
    for degrees, t in printed.items():
        assert student(degrees) == pytest.approx(t, abs=5e-4)
    # The mean is 3, the squares of the distances 4, 1, 0, 1, 4 make s = sqrt(10 / 4).
    low, high = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) or (0, 0)
    reach = 2.7764 * math.sqrt(2.5 / 5)
    assert (low, high) == pytest.approx((3 - reach, 3 + reach), abs=1e-4)
    assert mean_interval([1.0]) is None and mean_interval([2.0, 2.0]) == (2.0, 2.0)


SURVEY = Survey(
    source="santa", sha256="0", unit="character", train_characters=900, held_out_characters=100,
    parameters={"elman:4": 1234, "gru:4": 5678}, baselines={"n-gram, order 3": 2.5},
    remarks=(), machine="a machine", versions={"jax": "1"},
)  # fmt: skip


def made_up() -> list[Outcome]:
    curve = (Point(100, 1.0, 3.0), Point(200, 2.0, 2.0))
    one = Outcome(cell="elman:4", seed=0, bits_per_char=2.0, characters_per_second=(10.0, 30.0),
                  peak_bytes=2**20, curve=curve)  # fmt: skip
    return [
        one,
        dataclasses.replace(one, seed=1, bits_per_char=2.5, peak_bytes=3 * 2**20),
        Outcome(cell="gru:4", seed=0, error="no | luck"),
        dataclasses.replace(one, cell="gru:4", seed=1, interval=(1.5, 2.5)),
    ]


def one(directory: Path) -> CellTraining:
    """The first training of a benchmark that is kept there."""
    plan = Plan(("elman:4", "gru:4"), 2, RunConfig(characters=20_000))
    return all_trainings(plan, directory, directory / "settings.toml")[0]


def test_rows_and_their_markdown():
    rows = make_rows(SURVEY, made_up())
    assert [(row.bits_per_char, row.peak_mebibytes, row.seeds) for row in rows] == [
        (2.25, 3.0, 2), (2.0, 1.0, 1), (2.5, None, None),
    ]  # fmt: skip
    assert rows[0].characters_per_second == 20.0
    plan = Plan(("elman:4", "gru:4"), 2, RunConfig(minutes=1))
    lines = table.markdown(plan, SURVEY, rows, "charrnn bench").splitlines()
    assert lines[0] == (
        "santa: 100 characters held out (last-10%), 900 to learn from; each cell "
        "60 s from its first update, 2 seeds"
    )
    assert "| gru:4 | 2.0000 | 1.5000 to 2.5000 (text) | 20 | 5,678 | 1 | 1 of 2 |" in lines
    assert "| n-gram, order 3 | 2.5000 |  |  |  |  |  |" in lines
    assert "* failed: gru:4, seed 0: no | luck" in lines


def test_the_table_of_a_terminal_is_as_wide_as_it_is():
    """Numbers below each other, and whole; a cell with a long name has a line of its own."""
    long = "stacked:lstm:256,lstm:256"
    fast = {"characters_per_second": (123456.0,), "peak_bytes": 1234 * 2**20}
    outcomes = made_up()
    outcomes += [dataclasses.replace(outcomes[0], cell=long, seed=seed, **fast) for seed in (0, 1)]
    sizes = {**SURVEY.parameters, long: 1234567}
    survey = dataclasses.replace(SURVEY, parameters=sizes, machine="a fast machine " * 20)
    rows, plan = make_rows(survey, outcomes), Plan((), 2, RunConfig(minutes=1))
    shown = {width: text(plan, survey, rows, "charrnn bench", width) for width in (80, 60, None)}
    for width in (80, 60):
        assert max(map(len, shown[width])) <= width
        assert long in shown[width] and "1.5000 to 2.5000 *" in "\n".join(shown[width])
    assert "no room for MiB: results.md has all columns" in shown[80]
    assert "no room for MiB, seeds, params: results.md has all columns" in shown[60]
    [row] = [line for line in shown[None] if line.startswith(long)]
    assert row.split() == [long, "2.0000", "2.0000", "to", "2.0000", "123,456", "1,234,567",
                           "1,234", "2"]  # fmt: skip
    assert not any("no room" in line for line in shown[None])
    [head] = [line for line in shown[80] if line.startswith("cell ")]
    end = head.index("bits/char") + len("bits/char")
    bits = [line[end - 7 : end] for line in shown[80] if line.startswith(("elman:4", "gru:4", " "))]
    assert bits[:3] == [" 2.2500", " 2.0000", " 2.0000"]


def test_a_time_that_start_up_would_decide_is_refused(tmp_path, monkeypatch):
    plan = Plan(("elman:4", "gru:4"), 1, RunConfig(minutes=10 / 60))
    benchmark = Benchmark(tmp_path, plan, SURVEY, "charrnn bench")
    made = []

    def pretend(start_up, updates):
        """Trainings that take no time, and leave what those of a busy machine would."""
        made.clear()
        outcome = Outcome(cell="elman:4", seed=0, bits_per_char=7.6, updates=updates,
                          start_up=start_up)  # fmt: skip
        monkeypatch.setattr(CellTraining, "is_done", lambda training: training.cell in made)
        monkeypatch.setattr("charrnn_bench.benchmark.read_outcome", lambda *about: outcome)

        def train_one(benchmark, training, *rest):
            made.append(training.cell)

        monkeypatch.setattr(Benchmark, "_train_one", train_one)

    pretend(12.0, 1)
    for _ in range(2):  # the same command again does not train the rest either
        with pytest.raises(
            BudgetError, match=r"elman:4, seed 0, took 12 s .* --budget 200s or more"
        ):
            benchmark.train()
        assert made == ["elman:4"]
    for start_up, updates, enough in ((4.0, 500, "15s"), (1.0, 10, "20s")):
        pretend(start_up, updates)
        with pytest.raises(BudgetError, match=f"--budget {enough} or more"):
            benchmark.train()
    pretend(3.0, 500)
    assert benchmark.train() is None and made == ["elman:4", "gru:4"]
    pretend(None, 1)  # a benchmark of an earlier version goes on as it began
    assert benchmark.train() is None and made == ["elman:4", "gru:4"]


def test_what_time_begins_with_is_kept(tmp_path):
    plan = Plan(("elman:4",), 1, RunConfig(minutes=1))
    old = {key: value for key, value in plan.table().items() if key != "clock"}
    earlier = Plan.read(old)
    assert (plan.clock, earlier.clock) == ("first update", "start")
    assert plan.differences(earlier) == [] and plan.directory() == earlier.directory()
    assert "60 s from its start, 1 seed" in table.heading(earlier, SURVEY)
    for each, expected in ((plan, True), (earlier, False)):
        [training] = all_trainings(each, tmp_path, tmp_path / "settings.toml")
        assert ("--from-first-update" in training.begin()) == expected


@pytest.mark.slow
def test_minutes_can_count_from_the_first_update(tmp_path, text_file):
    from charrnn_core import train

    config = RunConfig(cell="elman:4", source=str(text_file), minutes=0.05, batch=4, window=16,
                       embedding=8, unroll="scan", observers=(), sample_length=5)  # fmt: skip
    long_ago = time.monotonic() - 100  # as if it had taken so long to start
    lines = train(config, out=tmp_path / "late", started=long_ago, note=lambda line: None).lines()
    [line] = [line for line in lines if line.startswith("time ")]
    assert re.search(r"start-up 1\d\d\.\d\b.*; 1 update$", line)
    result = train(config, out=tmp_path / "run", started=long_ago, note=lambda line: None,
                   from_first_update=True)  # fmt: skip
    [line] = [line for line in result.lines() if line.startswith("time ")]
    found = re.match(r"time +1\d\d\.\d s: updates (\d+\.\d) .*, start-up (1\d\d\.\d)\b", line)
    assert found is not None
    assert float(found[1]) >= 0.1
    saved = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert f"{saved['start_up_seconds']:.1f}" == found[2] and saved["reason"] == "finished"
    assert result.model.table["loop"]["seconds"] < 60


def test_the_same_rows_are_drawn_as_the_same_bytes(tmp_path):
    rows = make_rows(SURVEY, made_up())
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        assert draw(rows, directory, "santa") == [
            directory / "curves.png",
            directory / "curves.svg",
        ]
    for name in ("curves.png", "curves.svg"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    svg = (first / "curves.svg").read_text()
    assert "stroke-dasharray" in svg and "<!-- n-gram, order 3 -->" in svg


def test_without_matplotlib_there_is_a_note_and_all_the_rest(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    plan = Plan(("elman:4", "gru:4"), 2, RunConfig(minutes=1))
    benchmark = Benchmark(tmp_path, plan, SURVEY, "charrnn bench")
    command._report(benchmark, make_rows(SURVEY, made_up()), as_json=False)
    said = capsys.readouterr()
    assert "pip install 'charrnn[plot]'" in said.err and "n-gram, order 3" in said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "results.md"]


def test_what_was_interrupted_goes_on_unless_the_clock_decides(tmp_path, text_file):
    from charrnn_core import train

    training = one(tmp_path)
    config = RunConfig(cell="elman:4", source=str(text_file), characters=10**6, batch=4, window=16,
                       embedding=8, unroll="scan", observers=("jsonl",))  # fmt: skip
    calls = iter([False, False])
    train(config, out=training.directory, stop=lambda: next(calls, True), updates_per_call=2,
          note=lambda line: None)  # fmt: skip
    assert training.status() == "interrupted" and not training.is_done()
    assert 0 <= training.share_done(config, 9.0) < 0.01
    assert training.share_done(RunConfig(minutes=0.5), 9.0) == pytest.approx(0.3)
    assert training.ended(130, 7, interrupted=True) is None
    assert training.begin() == ["resume", str(training.directory)]
    assert training.ended(-9, 5, interrupted=False) == "ended by SIGKILL"
    assert training.record() == {"exit_code": -9, "peak_bytes": 7, "error": "ended by SIGKILL"}
    assert read_outcome(training, "0").error == "ended by SIGKILL"
    arguments = dataclasses.replace(training, resumable=False).begin()
    assert arguments[:3] == ["run", "--config", str(tmp_path / "settings.toml")]
    assert not training.directory.exists() and training.record() == {}


def test_another_text_than_at_first_is_a_failure(finished):
    out, _ = finished
    training = one(out / "trainings")
    assert "another text" in (read_outcome(training, "0").error or "")


def test_an_interval_of_another_update_is_not_taken(finished, tmp_path):
    out, _ = finished
    name = one(tmp_path).directory.name
    for left in (out / "trainings").glob(f"{name}*"):
        (shutil.copytree if left.is_dir() else shutil.copy)(left, tmp_path / left.name)
    training = one(tmp_path)
    _, checkpoint = open_checkpoint(training.directory, note=lambda line: None)
    sha256 = checkpoint.table["corpus"]["sha256"]
    file = training.directory / "evaluation.json"
    saved = json.loads(file.read_text())
    low, high = read_outcome(training, sha256).interval
    assert (low, high) == pytest.approx([end / math.log(2) for end in saved["interval"]])
    file.write_text(json.dumps({**saved, "step": saved["step"] - 1}))  # the run was extended since
    assert read_outcome(training, sha256).interval is None
    for damaged in ("[]", "{", json.dumps({**saved, "interval": ["x", 1]})):
        file.write_text(damaged)
        outcome = read_outcome(training, sha256)
        assert outcome.error and outcome.bits_per_char is None
    file.unlink()  # made by an earlier version
    assert read_outcome(training, sha256).interval is None


def test_only_one_process_is_at_work(finished):
    out, _ = finished
    with Benchmark.opened(None, out, ""):
        with pytest.raises(CharRNNError, match="another process is working on"):
            with Benchmark.opened(None, out, ""):
                pass
