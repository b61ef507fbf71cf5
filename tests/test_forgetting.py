"""A training that starts from another run says what it has forgotten of that run's text."""

import dataclasses
import json
from pathlib import Path

import pytest

from charrnn_core import RunConfig, evaluate, load, train
from charrnn_core.errors import CharRNNError, SourceError
from charrnn_core.evaluation.forgetting import Forgetting
from charrnn_core.evaluation.old_text import OldText
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model

OLD = "the cat sat on the mat.\n" * 60
NEW = "the dog is 7; the cat is 9!\n" * 60


def quiet(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run of an old text, ``a``, and one of a new text that started from it, ``b``."""
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "old.txt").write_text(OLD)
    (folder / "new.txt").write_text(NEW)
    config = RunConfig(
        source=str(folder / "old.txt"), cell="elman:8", embedding=4, context=0, counts=1, batch=4,
        window=8, characters=4000, observers=(), shards=1, sample_length=5, eval_every=100,
        alphabet="bytes",
    )  # fmt: skip
    train(config, out=folder / "a", note=quiet)
    moved = dataclasses.replace(
        config, source=str(folder / "new.txt"), init_from=str(folder / "a"), characters=8000
    )
    train(moved, out=folder / "b", note=quiet)
    return folder


@pytest.fixture(scope="module")
def model(folder) -> Model:
    return load(folder / "a", note=quiet)


def test_the_result_says_the_loss_on_the_old_text_before_and_after(folder, model):
    result = Evaluation.read(json.loads((folder / "b" / "evaluation.json").read_text()))
    found = result.forgetting
    assert found is not None and found.symbol == "byte" and found.characters == len(OLD) // 10
    before = evaluate(model, baselines=False)
    old = {"source": str(folder / "old.txt"), "split": found.split, "baselines": False}
    after = evaluate(load(folder / "b", note=quiet), **old)
    assert before.alone is not None and after.alone is not None
    for row, want in (
        (found.before, before.model), (found.after, after.model),
        (found.alone_before, before.alone), (found.alone_after, after.alone),
    ):  # fmt: skip
        assert row is not None and row.nats_per_char == pytest.approx(want.nats_per_char, abs=1e-5)
    assert found.alone_before != found.before and found.nats > 0.05
    line, alone = found.lines()
    assert line in result.lines() and f"{found.nats:.4f}"[:4] in line and "nats per byte" in line
    assert "its network alone" in alone and line in result._repr_html_()
    assert Forgetting.read(json.loads(json.dumps(found.table()))) == found


def test_info_has_it(folder, charrnn):
    shown = charrnn("info", folder / "b")
    [line] = [line for line in shown.stdout.splitlines() if "old text" in line]
    assert f"before, in {folder / 'a'}" in line and "bits per byte" in line


@pytest.mark.slow
def test_exported_weights_have_it_without_folders(folder, charrnn, tmp_path):
    pytest.importorskip("safetensors")
    done = charrnn("export", folder / "b", "--to", "safetensors", "--out", "b.safetensors")
    assert done.returncode == 0, done.stderr
    shown = charrnn("info", "b.safetensors")
    [line] = [line for line in shown.stdout.splitlines() if "old text" in line]
    assert line.endswith("before, in a")


def test_a_text_that_is_not_at_hand_is_told_and_nothing_is_lost(folder, tmp_path):
    """Nor is it the text that stands there now; and the same text is no other one."""
    table = load(folder / "b", note=quiet).config
    (folder / "old.txt").rename(folder / "away.txt")
    notes: list[str] = []
    try:
        with pytest.raises(SourceError, match=r"old\.txt.*not found"):
            OldText.of_run("a", load(folder / "a", note=quiet), 100)
        short = dataclasses.replace(table, characters=100, counts=0)
        trained = train(short, out=tmp_path / "c", note=notes.append)
    finally:
        (folder / "away.txt").rename(folder / "old.txt")
    assert trained.held_out is not None and trained.held_out.forgetting is None
    [remark] = [line for line in trained.held_out.remarks if "forgotten" in line]
    assert "not found" in remark and "eval" in remark and "--source SPEC --split last-10%" in remark
    assert f"note: {remark}" in notes and remark in json.dumps(trained.held_out.table()["remarks"])


def test_only_the_very_text_counts(folder, model, monkeypatch):
    text = OldText.of_run("a", model, 50)
    assert text.text.characters == 50
    (folder / "old.txt").write_text(NEW)
    try:
        with pytest.raises(CharRNNError, match="has changed since training"):
            OldText.of_run("a", model, 100)
        (folder / "a" / "kept-text.txt").write_text(OLD)  # as for a text that was piped in
        assert OldText.of_run("a", model, 100).text.characters == 100
    finally:
        (folder / "old.txt").write_text(OLD)
    piped = dataclasses.replace(model.config, source=Ref("file", "-"))
    piped = dataclasses.replace(model, config=piped)
    assert OldText.of_run("a", piped, 100).text.characters == 100
    (folder / "a" / "kept-text.txt").unlink()
    monkeypatch.setattr("sys.stdin", None)  # which must not be asked
    with pytest.raises(SourceError, match="came from standard input, and the run has kept no copy"):
        OldText.of_run("a", piped, 100)
