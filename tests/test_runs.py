"""``charrnn runs``: what it lists of which runs, in which order, and what it removes."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from charrnn_runs.command import _ORDERS
from charrnn_runs.pruning import Conditions
from charrnn_runs.screen import lines

from charrnn_core import RunConfig, train
from charrnn_core.files.atomic import locked
from charrnn_core.files.checkpoint import load_checkpoint, read_header, save_checkpoint
from charrnn_core.runs.overview import Overview, overview, overviews, spec


@pytest.fixture(scope="module")
def finished(tmp_path_factory, text_file):
    out = tmp_path_factory.mktemp("finished") / "run"
    config = RunConfig(
        source=str(text_file), cell="stacked:elman:4*2", batch=4, window=8, characters=2000,
        observers="jsonl", sample_length=5, shards=1,
    )  # fmt: skip
    return train(config, out=out, note=lambda line: None)


@pytest.fixture
def folder(tmp_path, begun, finished):
    """A folder with a run of each state, and other things."""
    runs = tmp_path / "runs"
    shutil.copytree(begun, runs / "begun")
    shutil.copytree(finished.directory, runs / "whole")
    shutil.copytree(begun, runs / "damaged")
    for file in (runs / "damaged/checkpoints").iterdir():
        file.write_bytes(b"CRNN\1\0")
    shutil.copytree(begun, runs / "empty")
    shutil.rmtree(runs / "empty/checkpoints")
    (runs / "notes").mkdir()
    (runs / "notes.txt").touch()
    return runs


def test_a_header_says_what_the_checkpoint_does(finished):
    path = max((finished.directory / "checkpoints").iterdir())
    header, checkpoint = read_header(path), load_checkpoint(path)
    assert header.table == checkpoint.table
    assert header.sizes == {name: array.size for name, array in checkpoint.arrays.items()}


def test_every_state(folder, finished):
    found = {run.path.name: run for run in overviews(folder)}
    states = {name: run.state for name, run in found.items()}
    assert states == {
        "begun": "interrupted", "damaged": "damaged", "empty": "no checkpoint", "whole": "finished",
    }  # fmt: skip
    whole = found["whole"]
    assert whole.nats == finished.held_out.nats_per_char
    assert (whole.cell, whole.parameters) == ("stacked:elman:4*2", finished.model.parameters)
    assert (whole.characters or 0) >= 2000 and str(whole.text).endswith("small.txt")
    assert whole.bytes == sum(f.stat().st_size for f in whole.path.rglob("*") if f.is_file())
    assert found["damaged"].cell is found["empty"].parameters is found["begun"].nats is None


@pytest.mark.parametrize(
    "changes",
    [{"loop": {"best": "low"}}, {"corpus": None}, {"config": []}, {"step": -1}, {"alphabet": 3}],
)
def test_a_table_of_nonsense_is_damage(folder, finished, changes):
    path = max((finished.directory / "checkpoints").iterdir())
    table, arrays = load_checkpoint(path).table, load_checkpoint(path).arrays
    for file in (folder / "whole/checkpoints").iterdir():
        save_checkpoint(file, {**table, **changes}, arrays)
    run = overview(folder / "whole")
    assert (run.state, run.cell, run.nats) == ("damaged", None, None)


def test_one_run_that_cannot_be_read_does_not_hide_the_others(charrnn, folder):
    shutil.rmtree(folder / "begun/checkpoints")
    (folder / "begun/checkpoints").symlink_to(folder / "whole/checkpoints")
    done = charrnn("runs")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 5 and "begun    damaged" in done.stdout


def test_a_run_that_is_trained_now(folder):
    with locked(folder / "begun/.lock"):
        assert overview(folder / "begun").state == overview(folder / "begun").state == "running"


@pytest.mark.parametrize(
    "cell, expected",
    [
        ({"use": "lstm", "features": 8, "dropout": 0.5}, "lstm:8"),
        ({"use": "flax", "name": "GRUCell"}, "flax"),
        (
            {"use": "stacked", "layers": [{"use": "gru", "features": n} for n in (3, 4, 4)]},
            "stacked:gru:3,gru:4*2",
        ),
        ("lstm", None),
        (None, None),
    ],
)
def test_a_cell_in_short(cell, expected):
    assert spec(cell) == expected


RUN = Overview(Path("runs/a"), "finished", "lstm:8", "file:a/b.txt", 10**6, 1.0, 90.0, 5, 9, 0.0)


def test_a_narrow_terminal_keeps_what_matters():
    wide, narrow = (lines([RUN, replace(RUN, path=Path("b"))], width) for width in (None, 40))
    assert wide[1].split()[:6] == ["a", "finished", "1.443", "lstm:8", "b.txt", "1.00M"]
    assert all(len(line) <= 40 for line in narrow)
    assert narrow[1].split()[:3] == ["a", "finished", "1.443"]


@pytest.mark.parametrize(
    "conditions, holds",
    [
        ({"worse_than": 1.4}, True),
        ({"worse_than": 1.5}, False),
        ({"older_than": 1.0}, True),
        ({"interrupted": True, "empty": True}, False),
    ],
)
def test_conditions(conditions, holds):
    assert Conditions(**conditions).hold_for(RUN) == holds
    assert not Conditions(**conditions).hold_for(replace(RUN, state="running"))


def test_the_best_come_first_and_those_without_a_result_last():
    runs = [replace(RUN, path=Path(str(nats)), nats=nats) for nats in (1.5, None, 0.0, 1.2)]
    assert [run.nats for run in sorted(runs, key=_ORDERS["bits"])] == [0.0, 1.2, 1.5, None]


def test_the_list(charrnn, folder):
    done = charrnn("runs", "--sort", "bits")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:2] == ["run", "whole"] and len(names) == 5
    rows = [json.loads(line) for line in charrnn("runs", "--json").stdout.splitlines()]
    assert {row["state"] for row in rows} >= {"finished", "damaged"}
    assert "no runs in runs/notes; train one" in charrnn("runs", "--in", "runs/notes").stdout
    nowhere = charrnn("runs", "--in", "nowhere")
    assert nowhere.returncode == 1 and "nowhere" in nowhere.stderr


def test_two_hundred_runs_need_no_jax(charrnn_process, folder):
    for i in range(200):
        shutil.copytree(folder / "whole", folder / f"copy-{i}", copy_function=os.link)
    done = charrnn_process("runs", "--json", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 204
    assert "| charrnn_runs.screen" in done.stderr.replace("   ", "") and " jax\n" not in done.stderr


def test_removing_asks_and_spares_what_is_not_charrnns(charrnn, folder):
    (folder / "whole/figure.png").touch()
    assert charrnn("runs", "rm", "runs/whole", "runs/begun", stdin="n\n").returncode == 1
    assert (folder / "whole/config.toml").exists()
    done = charrnn("runs", "rm", "runs/whole", "runs/begun", stdin="y\n")
    assert done.returncode == 0 and "still has figure.png" in done.stdout
    assert [path.name for path in (folder / "whole").iterdir()] == ["figure.png"]
    assert not (folder / "begun").exists()


def test_nothing_is_removed_that_is_no_run_or_is_trained(charrnn, folder):
    done = charrnn("runs", "rm", "runs/whole", "runs/notes", "--yes")
    assert done.returncode == 2 and "runs/notes is not a run" in done.stderr
    with locked(folder / "whole/.lock"):
        done = charrnn("runs", "rm", "runs/begun", "runs/whole", stdin="")
    assert done.returncode == 1 and "is being written by another process" in done.stderr
    assert not done.stdout  # it does not ask first
    assert overview(folder / "whole").state == "finished"
    assert overview(folder / "begun").state == "interrupted"


def test_the_run_that_one_is_in(charrnn_process, finished, tmp_path):
    shutil.copytree(finished.directory, tmp_path, dirs_exist_ok=True)
    done = charrnn_process("runs", "rm", ".", "--yes")
    assert done.returncode == 0, done.stderr
    assert not tmp_path.exists()


def test_pruning(charrnn, folder):
    nothing = charrnn("runs", "prune", "--yes")
    assert nothing.returncode == 2 and "--worse-than" in nothing.stderr
    assert "no run in runs" in charrnn("runs", "prune", "--worse-than", 99, "--yes").stdout
    done = charrnn("runs", "prune", "--interrupted", "--empty", "--yes")
    assert done.returncode == 0 and "removed these 3 runs" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["notes", "notes.txt", "whole"]


def test_where_nothing_was_ever_trained(charrnn):
    assert "no runs in runs; train one with" in charrnn("runs").stdout
    assert charrnn("runs", "--in", "elsewhere").returncode == 1
