"""``charrnn tune``: successive halving by exact resume."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from charrnn_tune.decide import Decisions
from charrnn_tune.journal import Journal, Result
from charrnn_tune.plan import FEWER, Plan, make_plan
from charrnn_tune.space import CELLS, CHOICES, drawn, of_default
from charrnn_tune.suggest import suggested
from charrnn_tune.tuning import Tuning

from charrnn_core.errors import OptionError, RunDirectoryError
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from tests.processes import demand_same_runs

SMALL = 'cell = "elman:4"\ncontext = 2\ncounts = 0\nshards = 1\nbatch = 4\nwindow = 8\n'


@pytest.fixture
def small(tmp_path, text_file):
    """The options of a tuning of a moment, which varies the dropout and the rate."""
    (tmp_path / "small.toml").write_text(SMALL)
    return ("tune", "--source", text_file, "--config", tmp_path / "small.toml", "--trials", 3,
            "--budget", "chars=20k", "--out", tmp_path / "tuned")  # fmt: skip


def test_trials_go_on_from_rung_to_rung_and_the_recipe_makes_the_winner(charrnn, small, tmp_path):
    done = charrnn(*small)
    assert done.returncode == 0, done.stderr
    journal = Journal.opened(tmp_path / "tuned" / "journal.json", None)
    assert set(journal.results) == {(0, 0), (1, 0), (2, 0), (journal.ranking(0)[0], 1)}
    winner = journal.ranking(1)[0]
    first, second = (journal.results[winner, rung].characters for rung in (0, 1))
    assert journal.total == round(1.25 * second)
    assert FEWER * first == pytest.approx(second, rel=0.1)  # both are whole updates
    assert f"trial {winner} has {journal.cooled.nats:.4f} after its rate has fallen" in done.stdout
    assert "<svg" in (tmp_path / "tuned" / "rungs.svg").read_text()
    again = charrnn(*small, "--json")
    assert json.loads(again.stdout)["winner"] == winner
    assert ", trial" not in again.stderr  # nothing is trained again
    recipe = ("run", "--config", tmp_path / "tuned" / "winner.toml", "--shards", 1, "--quiet")
    assert charrnn(*recipe, "--out", tmp_path / "run").returncode == 0
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["nats_per_char"]
    assert found == pytest.approx(journal.cooled.nats, abs=1e-6)


def test_what_cannot_be_is_refused_before_anything_is_written(charrnn, tmp_path):
    for options, message in (
        (("--budget", "soon"), "budget 'soon' is malformed; expected a time such as 20m"),
        (("--budget", "1m"), "too short to compare anything: 3 trials need 4."),
        (("--cells", "lstn"), "no cell named 'lstn' (did you mean 'lstm'?)"),
        (("--source", "-"), "source is standard input, which can be read only once"),
    ):
        done = charrnn("tune", *options, "--out", tmp_path / "tuned")
        assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "tuned").exists()


def test_another_plan_is_refused(tmp_path):
    plan = make_plan("20m", source="python-docs")
    Journal.opened(tmp_path / "journal.json", plan)
    with pytest.raises(OptionError, match="which differs in trials, minutes; use the same options"):
        Journal.opened(tmp_path / "journal.json", make_plan("40m", source="python-docs"))
    with pytest.raises(RunDirectoryError, match="has no tuning to go on with; begin one"):
        Journal.opened(tmp_path / "none.json", None)
    (tmp_path / "damaged.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match="was not written by 'charrnn tune'"):
        Journal.opened(tmp_path / "damaged.json", None)


def test_a_journal_is_read_as_it_was_written(tmp_path):
    plan = make_plan("chars=20M", source="python-docs", cells=["gru:8"])
    journal = Journal.opened(tmp_path / "journal.json", plan)
    journal.settings[0], journal.runs[0] = of_default(["gru:8"]), {"cell": "gru:8"}
    journal.results[0, 0] = Result(math.inf, 0, 0, 1.5, error="it failed")
    journal.results[2, 0] = Result(1.25, 123, 4, 1.5)
    journal.total = 150
    journal.write()
    assert Journal.opened(journal.file, plan) == journal
    assert journal.ranking(0) == [2, 0]


def test_the_first_trial_stays_for_a_second_rung_unless_it_failed(tmp_path):
    plan = make_plan("chars=20M", source="python-docs", trials=9)
    for first, going_on in ((9.0, [1, 2, 0]), (0.5, [0, 1, 2]), (math.inf, [1, 2, 3])):
        nats = {0: first} | {number: float(number) for number in range(1, 9)}
        results = {(number, 0): Result(its, 10, 1, 1.0) for number, its in nats.items()}
        journal = Journal(tmp_path / "journal.json", plan, results=results)
        tuning = Tuning(tmp_path, journal, Registry.installed(), interrupt=None)
        assert tuning.going_on(0) == going_on


def test_who_gained_more_goes_on_before_who_is_a_little_better_now(tmp_path):
    plan = make_plan("chars=20M", source="python-docs", trials=9)
    reached = {0: (1.4906, 1.4377), 3: (1.4563, 1.4407), 4: (1.4572, 1.4302)}
    results = {(number, 0): Result(9.0, 10, 1, 1.0) for number in range(9)} | {
        (number, rung): Result(nats, 10, 1, 1.0)
        for number, its in reached.items()
        for rung, nats in enumerate(its)
    }
    journal = Journal(tmp_path / "journal.json", plan, results=results)
    assert journal.ranking(1) == [4, 0, 3]
    assert journal.promise(0, 1) == pytest.approx(1.41125)
    tuning = Tuning(tmp_path, journal, Registry.installed(), interrupt=None)
    assert tuning.going_on(1) == [0]
    journal.results[0, 1] = Result(math.inf, 0, 0, 1.0, error="it failed")
    assert tuning.going_on(1) == [4]


def test_no_two_trials_are_the_same_run(tmp_path):
    """Of a short training of one cell nothing is dropped, and it has no other width."""
    plan = make_plan("chars=600k", source="python-docs", cells=["elman:8"], trials=12)
    tuning = Tuning(tmp_path, Journal(tmp_path / "j.json", plan), Registry.installed(), None)
    runs = [tuning.config(number).table() for number in range(12)]
    assert all(run not in runs[:number] for number, run in enumerate(runs))


def test_every_setting_that_is_drawn_is_one_of_a_run():
    registry = Registry.installed()
    found = [drawn(0, number, CELLS) for number in range(200)]
    assert {settings["cell"] for settings in found} == set(CELLS)
    for name, values in CHOICES.items():
        assert {settings.get(name, values[0]) for settings in found} == set(values)
    decisions = Decisions(make_plan("chars=20M", source="python-docs"), registry)
    for settings in found[:20]:
        config = decisions.run_of(settings)
        assert config.optimizer.options["schedule"] == "constant" and config.average > 0
        assert config.parameters is None and config.context_owned is not None


@pytest.mark.parametrize("trials", [2, 3, 6, 9, 18, 27])
def test_the_units_of_a_plan_are_those_of_its_trainings(trials):
    plan = Plan(RunConfig(), CELLS, trials, minutes=20.0)
    trained = [0] * trials
    for rung, count in enumerate(plan.rungs):
        trained[:count] = [plan.length(rung)] * count
    assert plan.units == pytest.approx(sum(trained) + trained[0] / 4)
    assert Plan.read(json.loads(json.dumps(plan.table()))) == plan


def test_tpe_follows_from_what_is_known():
    pytest.importorskip("optuna")
    before = [(drawn(0, number, CELLS), 2.0 + number) for number in range(1, 15)]
    one, two = (suggested("tpe", 0, 15, CELLS, before) for _ in range(2))
    assert one == two and one.keys() == before[0][0].keys()
    assert suggested("tpe", 0, 15, CELLS, before[:-1]) != one or one["batch"] in CHOICES["batch"]


@pytest.mark.slow
def test_a_tuning_that_is_killed_at_any_moment_ends_as_one_that_is_not(small, tmp_path):
    command = [sys.executable, "-m", "charrnn_core", *map(str, small)]
    command[command.index("chars=20k")] = "chars=60k"
    env = {**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache")}

    def tuned(out):
        words = [*command[:-1], str(tmp_path / out)]
        return subprocess.Popen(words, env=env, cwd=tmp_path)

    began = time.monotonic()
    assert tuned("whole").wait() == 0
    whole, seconds = tmp_path / "whole", time.monotonic() - began
    draw = random.Random(1)
    for number in range(10):
        process = tuned("killed")
        time.sleep(draw.uniform(0.1, 0.8) * seconds)
        process.send_signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
        process.wait()
    assert tuned("killed").wait() == 0
    one, other = (
        Journal.opened(tmp_path / out / "journal.json", None) for out in ("whole", "killed")
    )
    assert one.settings == other.settings and one.runs == other.runs
    assert {key: its.nats for key, its in one.results.items()} == {
        key: its.nats for key, its in other.results.items()
    }
    assert one.cooled.nats == other.cooled.nats
    winner = f"{one.ranking(1)[0]:03d}"  # the others' checkpoints are removed
    demand_same_runs(whole / "trials" / winner, tmp_path / "killed" / "trials" / winner)
    assert len([*whole.glob("trials/*/checkpoints/*.crn")]) <= 3
