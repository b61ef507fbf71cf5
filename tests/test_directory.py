"""Who may write a run, what a claim leaves behind, and which files are its checkpoints."""

import errno
import os
import threading

import pytest

from charrnn_core.errors import RunDirectoryError, StorageError
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.runs import recovery
from charrnn_core.runs import writer as writer_module
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.opening import open_checkpoint, open_model
from charrnn_core.runs.writer import RunWriter
from tests.crashes import SMALL, content, found, make_run, save


@pytest.fixture
def run(tmp_path) -> RunWriter:
    """A run with the checkpoints of updates 4, 5 and 6."""
    run = make_run(tmp_path / "run", 6, SMALL)
    save_checkpoint(run.checkpoint_file(4), *content(4, SMALL))
    return run


def test_a_second_writer_is_told_who_writes(tmp_path):
    run = RunWriter(tmp_path / "run")
    with run.writing():
        assert run.is_live()
        expected = f"is being written by process {os.getpid()} on .* since 20.*another directory"
        with pytest.raises(RunDirectoryError, match=expected):
            with run.writing():
                pass
        (run.path / ".owner").write_text("[]")
        with pytest.raises(RunDirectoryError, match="is being written by another process"):
            with run.writing():
                pass
    assert not run.is_live()
    assert [path.name for path in run.path.iterdir()] == [".lock"]


def test_a_claim_that_comes_second_does_not_remove_the_first(tmp_path, monkeypatch):
    """Both saw that there was no directory; the one that gets the lock is not disturbed."""
    out, entered, leave = tmp_path / "run", threading.Event(), threading.Event()
    real = writer_module.make_directory

    def first() -> None:
        with RunWriter.claim(RunConfig(), out):
            (out / "mine").write_text("")
            entered.set()
            leave.wait(10)
            (out / "checkpoints" / "step-000000000.crn").write_text("")

    def slow(path, *arguments):
        if path == out and threading.current_thread() is threading.main_thread():
            thread.start()
            entered.wait(10)
        return real(path, *arguments)

    thread = threading.Thread(target=first)
    monkeypatch.setattr(writer_module, "make_directory", slow)
    with pytest.raises(RunDirectoryError, match="is being written by"):
        with RunWriter.claim(RunConfig(), out):
            pass
    assert (out / "mine").exists() and (out / "checkpoints").is_dir()
    leave.set()
    thread.join()
    assert (out / "config.toml").exists()  # it has a checkpoint, and stays


def test_a_claim_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out in (None, tmp_path / "run"):
        with pytest.raises(ValueError):
            with RunWriter.claim(RunConfig(), out) as run:
                assert run.checkpoints.is_dir()
                raise ValueError
        assert not list(tmp_path.iterdir())

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", lambda path, data: full(path))
    with pytest.raises(StorageError, match="cannot write in .*: No space left"):
        with RunWriter.claim(RunConfig(), tmp_path / "run"):
            pass
    assert not list(tmp_path.iterdir())


def test_a_claim_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ValueError):
        with RunWriter.claim(RunConfig(), tmp_path):
            raise ValueError
    assert (tmp_path / "notes").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} <= {"notes", ".lock"}
    with pytest.raises(ValueError), RunWriter.claim(RunConfig(), tmp_path):
        raise ValueError  # and so the place is free


def test_files_of_other_names_are_no_checkpoints(run):
    for name in (
        "step-000000007 (copy).crn", "step-7.crn", "step-0000000008.crn", "step-zzzzzzzzz.crn",
        "step-\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0667.crn", "step-000000007.crn~",
    ):  # fmt: skip
        (run.checkpoints / name).write_text("mine")
    assert [path.name[-5] for path in run.saved()] == ["4", "5", "6"]
    run.prune(keep_last=1)
    assert found(run, SMALL) == 6 and len(list(run.checkpoints.iterdir())) == 7


def test_steps_of_ten_digits_come_last(run):
    steps = (999_999_999, 1_000_000_000, 2_147_483_647)
    for step in steps:
        save_checkpoint(run.checkpoint_file(step), *content(step, SMALL))
    assert found(run, SMALL) == steps[-1]
    run.prune(keep_last=3)
    assert run.saved() == [run.checkpoint_file(step) for step in steps]
    run.remove_after(steps[0])
    assert run.saved() == [run.checkpoint_file(steps[0])]


def test_a_run_without_a_place_for_checkpoints(tmp_path):
    run = RunWriter(tmp_path)
    assert run.saved() == []
    run.config_file.write_text("")
    with pytest.raises(RunDirectoryError, match="has no checkpoint yet"):
        open_checkpoint(tmp_path, print)
    run.checkpoints.write_text("a file")
    with pytest.raises(StorageError, match="cannot read .*/checkpoints: Not a directory"):
        open_checkpoint(tmp_path, print)


def saved_when_read(run: RunWriter, step: int, monkeypatch) -> None:
    """Let a writer save twice, and prune, after a reader's look at the names, before it reads."""
    waiting = [step]

    def load(path):
        if path == run.checkpoint_file(step) and waiting:
            waiting.clear()
            newest = found(run, SMALL, print)
            for following in (newest + 1, newest + 2):
                save(run, following, most=SMALL)
        return load_checkpoint(path)

    monkeypatch.setattr(recovery, "load_checkpoint", load)


@pytest.mark.parametrize("last, expected", [(True, 8), (False, 5)])
def test_a_reader_looks_again_and_never_takes_an_old_one(run, monkeypatch, last, expected):
    """Of 4, 5 and 6, 5 is kept for being the best: it must not be taken for the newest."""
    saved_when_read(run, 6, monkeypatch)
    path, checkpoint, _ = open_model(run.path, print, last)
    assert checkpoint.table["step"] == expected and path == run.checkpoint_file(expected)


def test_a_reader_of_the_best_looks_again_when_there_is_a_better(tmp_path, monkeypatch):
    run, lines = make_run(tmp_path / "run", 8, SMALL), []
    run.checkpoint_file(11).write_text("damaged")
    saved_when_read(run, 5, monkeypatch)
    assert open_model(run.path, lines.append).path == run.checkpoint_file(10)
    assert len(lines) == 1


def test_what_is_pruned(run):
    for step in (7, 8, 9):
        save_checkpoint(run.checkpoint_file(step), *content(step, SMALL))
    run.prune(keep_last=2, keep=[5, 1])
    assert [path.name[-5] for path in run.saved()] == ["5", "8", "9"]
    run.prune(keep_last=3)
    assert [path.name[-5] for path in run.saved()] == ["5", "8", "9"]
    run.prune(keep_last=1, keep=[8])
    assert [path.name[-5] for path in run.saved()] == ["8", "9"]


def test_nothing_is_pruned_if_the_newest_has_vanished(run, monkeypatch):
    def load(path):
        run.checkpoint_file(6).unlink(missing_ok=True)
        return load_checkpoint(path)

    monkeypatch.setattr(recovery, "load_checkpoint", load)
    run.prune(keep_last=1)
    assert [path.name[-5] for path in run.saved()] == ["4", "5"]
