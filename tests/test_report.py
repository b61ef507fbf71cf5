"""``charrnn report``: what is on the page, of any run in any state, and while it is trained."""

import json
import math
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from charrnn_report.page import MARK, report_page
from charrnn_report.watching import watch, write_report
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import RunConfig, evaluate, load, train
from charrnn_core.errors import RunDirectoryError, StorageError, UsageError
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.files.atomic import locked
from charrnn_core.runs.history import read_history
from tests.resuming import quiet
from tests.terminals import in_terminal
from tests.test_page import Reader

MOST = 500_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_file):
    config = RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=4000, context=0,
        counts=0, observers="jsonl", sample_length=30, prompt="Ann ", shards=1,
        eval_characters=1000,
    )  # fmt: skip
    return train(config, out=tmp_path_factory.mktemp("trained") / "run", note=quiet)


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.directory, tmp_path / "run"))


def shown(*runs: Path) -> str:
    """What a reader of the page of these runs sees."""
    text = report_page(list(map(read_history, runs)))
    assert len(text.encode()) < MOST and "<script" not in text
    return Reader(text).shown


def test_a_page_has_curves_samples_settings_and_results(run, trained):
    text = shown(run)
    samples = [json.loads(x) for x in (run / "samples.jsonl").read_text().splitlines()]
    assert len(samples) > 5 and samples[-1]["prompt"] == "Ann "
    for part in (
        "finished", "elman:4", "n-gram, order 6", "Dotted: what counting", "batch", "jax",
        "processor",
        f"update {samples[-1]['step']}", f"Ann {samples[-1]['text'][:10].strip()}",
        f"{trained.held_out.bits_per_char:.4f}",
    ):  # fmt: skip
        assert part in text, part
    bits = [row[0] for row in trained.held_out.cells()]
    assert all(name in text for name in bits)


def test_the_log_knows_the_intervals(trained):
    rows = [json.loads(x) for x in (trained.directory / "metrics.jsonl").read_text().splitlines()]
    evaluated = [row for row in rows if "held_out_nats_per_char" in row]
    assert evaluated and all("held_out_interval" in row for row in evaluated)
    for row in evaluated:
        low, high = row["held_out_interval"]
        assert low < row["held_out_nats_per_char"] < high
    assert trained.course.stages == read_history(trained.directory).course.stages


def test_the_table_beneath_has_the_numbers_of_the_curves(run):
    rows = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    text = shown(run)
    for row in rows:
        if "held_out_nats_per_char" in row:
            assert f"{row['held_out_nats_per_char'] / math.log(2):.3f}" in text
            assert f"{row['characters']:,}" in text


def test_several_runs_are_told_apart(run, begun, tmp_path):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    begun = Path(shutil.copytree(begun, tmp_path / "begun"))
    text = shown(run, other, begun)
    assert "3 runs" in text and text.count("other") >= 4
    settings = text.partition("Settings that differ")[2].partition("Trained with")[0]
    assert "sample_length" in settings and "window" not in settings
    assert "All settings are the same" in shown(run, other)
    here, there = tmp_path / "a/same", tmp_path / "b/same"
    for path in (here, there):
        shutil.copytree(run, path)
    assert str(here) in shown(here, there)


def test_a_name_is_no_markup(run, tmp_path):
    odd = Path(shutil.copytree(run, tmp_path / "<b>&amp;\x1b[31m"))
    text = report_page([read_history(odd), read_history(run)])
    assert "<b>&amp;" not in text and "\x1b" not in text and "<b>&amp;" in Reader(text).shown


def test_a_run_that_has_hardly_begun(begun, tmp_path):
    assert "No loss has been measured yet" in shown(begun)
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(begun / "config.toml", bare)
    assert "no checkpoint" in shown(bare) and "elman:4" in shown(bare)


def test_one_evaluation(run):
    last = (run / "metrics.jsonl").read_text().splitlines()[-1]
    (run / "metrics.jsonl").write_text(last + "\n")
    assert "<circle" in report_page([read_history(run)])


@given(st.lists(st.binary(max_size=60) | st.sampled_from([
    b'{"step": 1, "characters": 1, "train_nats_per_char": NaN}',
    b'{"step": 2, "characters": 2, "train_nats_per_char": 1e400, "held_out_nats_per_char": NaN}',
    b'{"step": 3, "characters": 9e99, "train_nats_per_char": 1, "held_out_interval": [1, []]}',
    b'{"step": 3, "characters": 1%s, "train_nats_per_char": 1}' % (b"0" * 400),
    b'{"step": 4, "characters": 3, "held_out_nats_per_char": 1e18, "held_out_interval": [1, 2]}',
    b'{"step": 5, "characters": 4, "train_nats_per_char": 2, "prompt": [], "text": "\\udcff"}',
    b"[" * 2000,
])))  # fmt: skip
def test_damaged_logs_are_no_obstacle(tmp_path_factory, begun, lines):
    run = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(begun, run)
    for name in ("metrics.jsonl", "samples.jsonl", "incidents.jsonl"):
        (run / name).write_bytes(b"\n".join(lines))
    assert "interrupted" in shown(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"baselines": 3}, {"baselines": [{"name": "xz"}]}, {"characters": "many"},
        {"model": {"a": 1}}, {"interval": [1.0]}, {"last": "x"},
    ],
)  # fmt: skip
def test_a_result_of_nonsense_is_left_out(run, changes):
    table = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps({**table, **changes}))
    assert "evaluation.json cannot be read" in shown(run)


def test_a_result_is_read_as_it_was_written(trained):
    saved = json.loads((trained.directory / "evaluation.json").read_text())
    read = Evaluation.read(saved, trained.held_out.course)
    assert read == trained.held_out
    assert Evaluation.read(evaluate(trained.model).table()).rows == evaluate(trained.model).rows


def test_losses_that_are_not_finite(run):
    table = json.loads((run / "evaluation.json").read_text())
    table |= {"nats_per_char": None, "bits_per_char": None, "interval": None, "perplexity": None}
    (run / "evaluation.json").write_text(json.dumps(table))
    (run / "incidents.jsonl").write_text('{"step": 3}\n{"step": 4}\n')
    text = shown(run)
    assert "something in 2 updates was not finite" in text and "not finite: the model" in text


@pytest.mark.slow
def test_many_long_runs_fit(run, tmp_path):
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    rows = [{**row, "step": n, "characters": 32 * n} for n in range(1, 3000)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sample = json.dumps({"step": 3, "prompt": "", "text": "ho & < " * 900})
    (run / "samples.jsonl").write_text(f"{sample}\n" * 50)
    shown(run)
    runs = [tmp_path / f"copy-{n}" for n in range(30)]
    for path in runs:
        shutil.copytree(run, path, copy_function=os.link)
    shown(*runs)
    with pytest.raises(UsageError, match="31 runs do not fit"):
        report_page([read_history(run)] * 31)


def test_only_a_report_is_replaced(run, tmp_path):
    out = tmp_path / "page.html"
    write_report([run], out)
    write_report([run], out)
    assert MARK in out.read_text()
    out.write_text("<h1>my page</h1>")
    with pytest.raises(StorageError, match=r"page\.html is there and is not a report"):
        write_report([run], out)
    assert out.read_text() == "<h1>my page</h1>"


def test_what_is_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="nothing is not a run directory"):
        read_history(tmp_path / "nothing")


def test_the_command_needs_no_jax(charrnn_process, run, tmp_path):
    done = charrnn_process("report", run, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0 and done.stdout == "wrote report.html\n"
    assert " jax\n" not in done.stderr and "charrnn_report.page" in done.stderr
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert charrnn_process("report", "nope").returncode == 1


def test_a_run_that_is_trained_is_watched_until_it_ends(run, tmp_path):
    out, rows = tmp_path / "live.html", (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text("")

    def until(text: str) -> None:
        for _ in range(500):
            if out.exists() and text in out.read_text():
                return
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in {out.read_text()}")

    with locked(run / ".lock"):
        watching = threading.Thread(target=watch, args=([run], out, 0.02))
        watching.start()
        until('http-equiv="refresh" content="5"')
        until("No loss has been measured")
        (run / "metrics.jsonl").write_text(rows)
        until("<polyline")
        assert "running" in Reader(out.read_text()).shown
    watching.join(timeout=20)
    text = out.read_text()
    assert "refresh" not in text and "<polyline" in text and "finished" in text


def test_a_page_that_is_not_live_is_not_read_again(run):
    assert "refresh" not in report_page([read_history(run)])
    assert re.search(r"every\s+7 seconds", report_page([read_history(run)], refresh=7))


def test_the_end_of_a_training_names_what_can_be_made_of_it(trained):
    for line, command in zip(trained.lines()[-2:], ("report", "export"), strict=True):
        assert line.startswith(f"{command} ") and line.endswith(f"{command} {trained.directory}")


@pytest.mark.parametrize("columns", [60, 120])
def test_a_run_and_its_info_have_a_curve_in_a_terminal(text_file, tmp_path, columns):
    small = "--cell elman:4 --context 0 --counts 0 --chars 3000 --batch 4 --window 8 --shards 1"
    command = ["run", "--source", str(text_file), *small.split(), "--out", str(tmp_path / "run")]
    printed = in_terminal(*command, columns=columns, PYTHONUTF8="1", NO_COLOR="1")
    told = in_terminal("info", str(tmp_path / "run"), columns=columns, PYTHONUTF8="1")
    for text in (printed, told):
        curve = [line for line in text.splitlines() if re.search("[\u2801-\u28ff]", line)]
        assert 2 <= len(curve) <= 8 and max(map(len, curve)) <= columns
        assert "updates" in text and "training 3" in "".join(curve)
    assert "learning curve" in told


def test_other_places_have_no_curve(charrnn, run):
    assert not re.search("[\u2801-\u28ff]", charrnn("info", run).stdout)


def test_a_terminal_that_cannot_write_it_has_none(run):
    told = in_terminal("info", str(run), columns=80, PYTHONIOENCODING="ascii")
    assert "\\u28" not in told and "learning curve" not in told


def test_a_model_of_a_file_has_no_curve(run, tmp_path):
    [file, *_] = (run / "checkpoints").iterdir()
    shutil.copy(file, tmp_path / "alone.crn")
    told = in_terminal("info", str(tmp_path / "alone.crn"), columns=80)
    assert "learning curve" not in told
    assert "<table>" in load(tmp_path / "alone.crn")._repr_html_()
