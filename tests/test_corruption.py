"""A damaged checkpoint is noticed, and the one before it used, with one line; never silence."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.runs.opening import open_checkpoint, open_model
from charrnn_core.runs.writer import RunWriter
from tests.crashes import SMALL, content, found, make_run, save


@pytest.fixture
def run(tmp_path) -> RunWriter:
    """A run with the checkpoints of updates 1, 2 and 3."""
    return make_run(tmp_path / "run", 3, SMALL)


def used(run: RunWriter) -> tuple[int, list[str]]:
    """The step that is used, after a look at its content, and what was said."""
    lines: list[str] = []
    return found(run, SMALL, lines.append), lines


def passed_over(run: RunWriter, reason: str) -> None:
    """Check that the newest checkpoint of `run` is not used, and that one line says why."""
    step, lines = used(run)
    newest = run.checkpoint_file(3)
    assert step == 2
    assert len(lines) == 1 and "\n" not in lines[0], lines
    assert str(newest) in lines[0] and reason in lines[0]
    assert lines[0].endswith("using step-000000002.crn")


def test_every_truncation(run):
    newest = run.checkpoint_file(3)
    data = newest.read_bytes()
    for length in [*range(0, len(data), 5), *range(len(data) - 40, len(data))]:
        newest.write_bytes(data[:length])
        passed_over(run, "is not a charrnn checkpoint" if length < 10 else "is damaged")


def test_five_hundred_bit_flips(run):
    newest = run.checkpoint_file(3)
    data, rng = newest.read_bytes(), np.random.default_rng(5)
    for bit in [*range(80), *rng.integers(80, 8 * len(data), 420)]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        newest.write_bytes(flipped)
        passed_over(run, str(newest))


def test_stretches_of_zeros_and_what_was_appended(run):
    newest = run.checkpoint_file(3)
    data, rng = newest.read_bytes(), np.random.default_rng(6)
    for first, last in [(0, len(data)), *np.sort(rng.integers(0, len(data) + 1, (100, 2)))]:
        zeroed = data[:first] + bytes(last - first) + data[last:]
        if zeroed != data:
            newest.write_bytes(zeroed)
            passed_over(run, str(newest))
    for more in (b"\0", data, bytes(512)):
        newest.write_bytes(data + more)
        passed_over(run, "belong to no array")


def test_files_that_were_swapped(run):
    one, other = run.checkpoint_file(2), run.checkpoint_file(3)
    aside = one.rename(run.path / "aside")
    other.rename(one)
    aside.rename(other)
    step, lines = used(run)
    assert step == 1 and len(lines) == 1
    assert f"{other} has the wrong name: it holds update 2; {one} has the wrong name" in lines[0]


def test_a_copy_of_an_older_file(run):
    shutil.copy(run.checkpoint_file(1), run.checkpoint_file(3))
    passed_over(run, "has the wrong name: it holds update 1")


PLACED = {
    "a directory": (Path.mkdir, "is a directory; expected a regular file"),
    "a pipe": (os.mkfifo, "is a pipe; expected a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link; expected a"),
    "a loop": (lambda path: path.symlink_to(path), "is a symbolic link"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "is a symbolic link"),
    "a link to its like": (
        lambda path: path.symlink_to("step-000000002.crn"),
        "is a symbolic link",
    ),
}


@pytest.mark.parametrize("make, reason", PLACED.values(), ids=PLACED)
def test_something_else_in_its_place(run, make, reason):
    run.checkpoint_file(3).unlink()
    make(run.checkpoint_file(3))
    passed_over(run, reason)


FOREIGN = {
    "nothing": b"",
    "text": b"step = 3\n" * 40,
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "ZIP": b"PK\x03\x04" + bytes(100),
    "ELF": b"\x7fELF" + bytes(100),
    "pickle": pickle.dumps({"step": 3}),
    "CRNN in the middle": b"    CRNN\1\0" + bytes(100),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_foreign_files(run, data):
    run.checkpoint_file(3).write_bytes(data)
    passed_over(run, "is not a charrnn checkpoint")


@pytest.mark.parametrize(
    "version, reason",
    [
        (2, "has format 2; this charrnn reads up to 1: upgrade charrnn"),
        (65535, "has format 65535"),
        (0, "unknown format 0"),
    ],
)
def test_other_formats(run, version, reason):
    newest = run.checkpoint_file(3)
    data = newest.read_bytes()
    data = data[:4] + version.to_bytes(2, "little") + data[6:-32]
    newest.write_bytes(data + hashlib.sha256(data).digest())
    passed_over(run, reason)


def test_if_none_is_good_it_is_an_error(run):
    for step in (1, 2, 3):
        run.checkpoint_file(step).write_bytes(b"CRNN")
    expected = (
        r"no checkpoint in .* can be used: .*step-000000003.crn.* \(and 2 more\); restore one"
    )
    with pytest.raises(CheckpointError, match=expected):
        used(run)
    with pytest.raises(CheckpointError, match="is not a charrnn checkpoint"):
        open_checkpoint(run.checkpoint_file(3), print)


def test_if_none_is_good_nothing_is_removed(run):
    for step in (1, 2, 3):
        run.checkpoint_file(step).write_bytes(b"CRNN")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* \(and 2 more\)"):
        run.prune(keep_last=1)
    assert len(run.saved()) == 3


def test_damaged_files_do_not_count_as_the_last(run):
    save_checkpoint(run.checkpoint_file(9), *content(9, SMALL))
    for step in (3, 9):
        run.checkpoint_file(step).write_bytes(b"CRNN")
    run.prune(keep_last=1)
    assert [path.name[-5:-4] for path in run.saved()] == ["2", "3", "9"]
    save(run, 3, most=SMALL)
    save(run, 4, most=SMALL)
    run.prune(keep_last=1)
    assert [path.name[-5:-4] for path in run.saved()] == ["4", "9"]
    save(run, 9, most=SMALL)
    run.prune(keep_last=1)
    assert [path.name[-5:-4] for path in run.saved()] == ["9"]


def test_what_cannot_be_read_at_all(run, monkeypatch):
    real, newest = open, run.checkpoint_file(3)

    def broken(path, *arguments, **options):
        if path == newest:
            raise OSError(5, os.strerror(5))
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", broken)
    passed_over(run, "cannot read")


def test_a_damaged_best_checkpoint_is_not_replaced_silently(run):
    lines = []
    best, newest = open_model(run.path, lines.append), open_checkpoint(run.path, print)
    assert best.path == run.checkpoint_file(1) and best.newest == newest[1].table and not lines
    run.checkpoint_file(1).write_bytes(b"CRNN" + bytes(90))
    assert open_model(run.path, lines.append).path == newest[0] == run.checkpoint_file(3)
    assert "step-000000001.crn is damaged" in lines[0] and "using the last model" in lines[0]
    run.checkpoint_file(1).unlink()
    assert open_model(run.path, lines.append).path == newest[0]
    assert "the best model, of step-000000001.crn, is missing; using the last" in lines[1]
    assert open_model(run.path, lines.append, last=True).path == newest[0] and len(lines) == 2


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.just(1) | plain, plain | st.fixed_dictionaries({"best_step": plain}))
def test_any_table_gives_a_checkpoint_or_an_error(tmp_path_factory, step, loop):
    run = make_run(tmp_path_factory.getbasetemp() / "tables")
    save_checkpoint(run.checkpoint_file(1), {"step": step, "loop": loop}, {})
    for last in (False, True):
        try:
            opened = open_model(run.path, print, last)
            assert opened.path == run.checkpoint_file(1) and str(opened.chosen)
        except StorageError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
