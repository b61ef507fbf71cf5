"""Overfitting, divergence and too little training told apart: on made-up curves, and after runs."""

import dataclasses
import json
import math
import os

import pytest

from charrnn_core import RunConfig, evaluate, load, resume, train
from charrnn_core.evaluation.diagnosis import diagnose
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.row import Row
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.course import Course
from charrnn_core.runs.metrics import read_course
from tests.resuming import quiet

SYMBOLS = 60
N_GRAM = ["n-gram, order 4"]


def course(train_losses, held_out=(), ended=True) -> Course:
    """A training of as many evaluations as there are losses."""
    made = Course(symbols=SYMBOLS, ended=ended)
    for number, loss in enumerate(train_losses):
        row = {"step": 10 * (number + 1), "characters": 1000 * (number + 1),
               "train_nats_per_char": loss}  # fmt: skip
        made.add({**row, "held_out_nats_per_char": held_out[number]} if held_out else row)
    if held_out:
        made.best = min(x for x in held_out if math.isfinite(x))
        made.best_step = 10 * (held_out.index(made.best) + 1)
    return made


FALLING = [3.0, 2.4, 2.0, 1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1]
LEVEL = [3.0, 2.3, 2.2, 2.1, 2.02, 2.01, 2.0, 2.0, 2.0, 2.0]
RISING = [1.2, 1.0, 0.98, 1.1, 1.9, 2.6, 3.3, 3.9, 4.3, 4.47]
SETTLED = [3.0, 2.0, 1.6, 1.4, 1.3, 1.25, 1.22, 1.2, 1.19, 1.185]


@pytest.mark.parametrize(
    ("losses", "held_out", "better", "cause"),
    [
        (FALLING, [3.0, 2.4, 2.1, 1.9, 1.8, 1.8, 1.9, 2.0, 2.1, 2.2], [], "overfitting"),
        (FALLING, [3.0, 2.4, 2.1, 1.9, 1.8, 1.8, 1.9, 2.0, 2.1, 2.2], N_GRAM, "overfitting"),
        (RISING, [x + 0.1 for x in RISING], [], "divergence"),
        (RISING, [x + 0.1 for x in RISING], N_GRAM, "divergence"),
        (RISING, [], [], "divergence"),
        ([3e18] * 10, [3e18] * 10, N_GRAM, "divergence"),  # from the first update on
        ([3.0, 2.0, 18.0, 11.0, 6.0, 4.0, 3.0, 2.4, 2.0, 1.8], [], N_GRAM, "divergence"),
        ([12.0, 18.0, 15.0, 11.0, 6.0, 4.0, 3.0, 2.4, 2.0, 1.8], [], [], None),  # made up for
        (SETTLED, [*SETTLED[:9], math.nan], [], "not finite"),
        (LEVEL, [3.0, 2.3, 2.2, 2.1, 2.1, 2.1, 1.9, 2.0, 2.0, 2.0], [], "unsettled"),
        (FALLING, FALLING, N_GRAM, "too little training"),
        (FALLING, FALLING, [], "too little training"),
        ([5.2], [5.3], N_GRAM, "too little training"),
        (LEVEL, LEVEL, N_GRAM, "too weak"),
        ([], [], N_GRAM, "unknown"),
        (SETTLED, [x + 0.2 for x in SETTLED], [], None),
        ([], [], [], None),
    ],
)
def test_each_curve_has_one_cause(losses, held_out, better, cause):
    found = diagnose(held_out[-1] if held_out else None, better, course(losses, held_out))
    assert (found and found.cause) == cause
    if found is None:
        return
    assert found.line.count("note: ") + found.line.count("warning: ") == 1
    slower, overfitting = "--lr" in found.line, "overfitting" in found.line
    assert slower == (cause in ("divergence", "not finite", "unsettled", "too weak"))
    assert overfitting == (cause == "overfitting")
    assert ("dropout" in found.line) == (cause == "overfitting")
    assert ("--minutes" in found.line) == (cause == "too little training")


def test_whoever_interrupts_is_not_told_that_it_was_little():
    assert diagnose(1.1, [], course(FALLING, FALLING, ended=False)) is None
    risen = course(RISING, RISING, ended=False)
    assert (found := diagnose(4.47, N_GRAM, risen)) and found.cause == "divergence"


def test_numbers_have_a_readable_width():
    row = Row(name="model", nats_per_char=2.6e18, interval=(1e18, 3e18))
    result = Evaluation(model=row, baselines=(Row(name="unigram", nats_per_char=3.0),),
                        characters=9, course=course([1e18, 3e18], [1e18, 2.6e18]))  # fmt: skip
    assert all(len(line) < 240 for line in result.lines())
    assert max(map(len, row.cells())) < 24
    assert (
        "training diverged: the training loss rose from 1e+18 to 3e+18 nats" in result.lines()[-1]
    )
    many = Row(name="model", nats_per_char=276.0)  # its perplexity has 120 digits
    assert many.cells()[3] == "7.333e+119"
    for nats in (math.nan, math.inf, 800.0):
        plain = Evaluation(model=Row(name="model", nats_per_char=nats), characters=9).table()
        json.loads(json.dumps(plain, allow_nan=False))
        assert plain["perplexity"] is None


def test_spans_are_means_over_characters():
    made = Course()
    for step, (characters, loss) in enumerate([(10, 4.0), (40, 3.0), (100, 2.0), (400, 1.0)], 1):
        made.add({"step": step, "characters": characters, "train_nats_per_char": loss})
    assert [span.train for span in made.spans()] == pytest.approx([(40 + 90 + 120) / 100, 1.0])
    made.forget_after(2)
    assert [span.train for span in made.spans()] == pytest.approx([4.0, 3.0])


def test_a_log_that_is_none_gives_no_course(tmp_path):
    table = {"step": 9, "loop": {"best": 1.0, "best_step": 3, "status": "finished"}}
    file = tmp_path / "metrics.jsonl"
    good = '{"step": 9, "characters": 7, "train_nats_per_char": 1.5}'
    file.write_text(f'nonsense\n[]\n{{"step": "x"}}\n{good}\n{good.replace("9", "10")}\n')
    assert [stage.step for stage in read_course(file, table, 5).stages] == [9]
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "link", tmp_path / "pipe", tmp_path / "absent", tmp_path, None):
        assert read_course(other, table, 5) == Course([], 1.0, 3, 5, True)


@pytest.fixture(scope="module")
def fast(tmp_path_factory, text_file):
    """A run whose learning rate is far too high, interrupted and gone on with; its events."""
    config = RunConfig(
        source=str(text_file), cell="elman:8", context=0,
        counts=0, batch=4, window=8, characters=8000,
        observers="jsonl", sample_length=5, shards=1,
        optimizer=Ref("adam", None, {"learning_rate": 1e18}),
    )  # fmt: skip
    run = tmp_path_factory.mktemp("fast") / "run"
    looks = iter([False] * 5)
    first = train(config, out=run, stop=lambda: next(looks, True), updates_per_call=25, note=quiet)
    return run, first, resume(run, note=quiet)


@pytest.mark.slow
def test_a_rate_that_is_too_high_is_called_that(fast):
    run, first, result = fast
    assert first.reason == "interrupted" and result.reason == "finished"
    notes = [line for line in result.lines() if line.startswith(("note: ", "warning: "))]
    assert len(notes) == 1 and "training diverged" in notes[0] and "--lr" in notes[0]
    assert "overfitting" not in notes[0] and "dropout" not in notes[0]
    assert all(len(line) < 200 for line in result.lines())
    # A run that goes on, and an evaluation, know the whole training.
    assert evaluate(load(run)).warnings() == notes
    straight = read_course(run / "metrics.jsonl", result.model.table, result.course.symbols)
    assert result.course == straight and len(straight.stages) > 5


def test_another_text_is_not_told_of_the_training(fast, tmp_path, small_text):
    run, _, _ = fast
    other = tmp_path / "other.txt"
    other.write_text(small_text[:500])
    [line] = evaluate(load(run), source=str(other)).warnings()
    assert "likely causes: " in line
    file = tmp_path / "alone.crn"
    file.write_bytes(max((run / "checkpoints").glob("*.crn")).read_bytes())
    assert "likely causes: " in evaluate(load(file)).warnings()[0]


def test_a_rollback_takes_back_what_is_known_of_it(text_file, tmp_path):
    config = RunConfig(
        source=str(text_file), cell=Ref("elman", "8", {"activation": "relu"}), batch=4, window=8,
        context=0, counts=0, characters=3000, observers="jsonl", sample_length=5, shards=1,
        non_finite="rollback",
        optimizer=Ref("sgd", "60", {"clip": 0, "warmup": 0, "momentum": 0, "schedule": "constant"}),
    )  # fmt: skip
    result = train(config, out=tmp_path / "run", note=quiet)
    rows = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [stage.step for stage in result.course.stages] == [row["step"] for row in rows]
    assert dataclasses.asdict(result.course)["best"] == result.best
