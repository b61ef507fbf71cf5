"""Whatever a checkpoint says of its run, it is used or refused in one line, by every command."""

import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from charrnn_info.screen import lines
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core import load, resume
from charrnn_core.errors import CharRNNError, CheckpointError
from charrnn_core.evaluation import comparison
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.files.typed import check, for_json
from charrnn_core.network.explain import summary
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.model import describe_run
from charrnn_core.runs.opening import saved_network
from charrnn_core.runs.writer import RunWriter
from charrnn_core.training.loop import TrainingLoop
from tests.crafted import changed, dropped, one_change, some_changes
from tests.make_golden import TABLE
from tests.resuming import quiet

PATH = Path("a.crn")
ESCAPES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="module")
def newest(begun):
    """Its checkpoint."""
    return RunDirectory(begun).saved()[-1]


@pytest.fixture(scope="module")
def sound(newest):
    """What that holds."""
    return load_checkpoint(newest)


class Going(Exception):
    """A run goes on."""


def in_one_line(what, *arguments, **options):
    """Call something that may refuse; whether it did."""
    try:
        what(*arguments, **options)
    except Going:
        return False
    except CharRNNError as error:
        assert "\n" not in str(error) and len(str(error)) < 2500, str(error)[:3000]
        return True
    return False


def use(table):
    """What every command does first, and what ``info`` shows."""
    manifest = read_manifest(PATH, table)
    LoopState.read(read_manifest(PATH, table, RESUMING)["loop"])
    if "unroll" in manifest:
        summary(manifest["unroll"])


def test_any_one_change_is_accepted_or_refused(sound):
    table = dict(sound.table)
    tables = random.Random(0).sample([other for _, other in one_change(table)], 1500)
    ends = [in_one_line(use, other) for other in tables]
    assert 0.2 < sum(ends) / len(ends) < 0.9
    assert not in_one_line(use, table)


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_info_of_any_table(newest, sound, tmp_path_factory, seed):
    table = some_changes(dict(sound.table), random.Random(seed))
    path = tmp_path_factory.getbasetemp() / "crafted.crn"
    try:
        save_checkpoint(path, table, sound.arrays)
    except CheckpointError:
        return  # nobody can write that

    def info():
        shown = describe_run(path, note=quiet)
        json.dumps(for_json(shown), allow_nan=False)
        assert ESCAPES.search("".join(lines(shown, 80))) is None

    in_one_line(info)
    in_one_line(saved_network, path)

    def shards():
        checkpoint = load_checkpoint(path)
        read_manifest(path, checkpoint.table)
        assert RunWriter(path.parent, newest=(path, checkpoint)).shards >= 1

    in_one_line(shards)


CONFIGS = {
    ("embedding",): [0, -1, 10**6, 10**12, 2**63 - 1, 2**64 - 1, "x", None, [1]],
    ("cell",): [
        {"use": "elman", "features": number} for number in (0, 10**7, 10**12, 2**63 - 1, 2**64 - 1)
    ] + ["elman:1000000000000", "lstm", {}, 3, {"use": "nothing"}, {"use": "elman", "x": 1}],
    ("cell", "features"): ["1e999", "9" * 400, None, {}, True],
    ("documents",): ["lines", "x" * 5000, "\x1b", 5],
    ("tied",): [True, "x", 2],
    ("unroll",): ["engine", "x"],
    ("sampler",): [[], ["x"], {}, None],
}  # fmt: skip


@pytest.mark.parametrize("place, values", CONFIGS.items(), ids=lambda item: str(item)[:20])
def test_loading_any_configuration(begun, sound, registry, tmp_path, place, values):
    run = Path(shutil.copytree(begun, tmp_path / "run"))
    [path] = RunDirectory(run).saved()
    refused = []
    for value in values:
        save_checkpoint(path, changed(dict(sound.table), ("config", *place), value), sound.arrays)
        refused.append(in_one_line(load, run, registry, note=quiet))
    assert sum(refused) >= len(values) // 2


RESUMED = [
    ("loop", "step", "x"), ("loop", "incident_bytes", -1), ("loop", "seconds", float("nan")),
    ("loop", "status", 3), ("loop", "kept", [0.5]), ("observers", "jsonl", {"bytes": -1}),
    ("observers", "jsonl", 3), ("observers", None), ("environment", [1]), ("environment", "jax", 1),
    ("corpus", "characters", -1), ("corpus", "sha256", "x"), ("alphabet", []), ("plugins", [1]),
    ("config", "batch", 2**63 - 1), ("config", "window", 2**63 - 1), ("config", "epochs", -1.0),
    ("config", None), ("config", "observers", 3), ("step", 1), ("config", "stretch", 10**12),
]  # fmt: skip


@pytest.mark.parametrize("change", RESUMED, ids=lambda change: " ".join(map(str, change)))
def test_resuming_any_table(begun, sound, registry, tmp_path, monkeypatch, change):
    def going(session):
        raise Going
        yield

    monkeypatch.setattr(TrainingLoop, "events", going)
    monkeypatch.setattr(comparison, "Counting", lambda *texts: SimpleNamespace(cancel=lambda: None))
    run = Path(shutil.copytree(begun, tmp_path / "run"))
    (run / "incidents.jsonl").write_text("an incident\n")
    [path] = RunDirectory(run).saved()
    *place, value = change
    save_checkpoint(path, changed(dict(sound.table), tuple(place), value), sound.arrays)
    assert in_one_line(resume, run, registry=registry, note=quiet)


def test_a_sound_run_goes_on_and_its_table_may_say_more(begun, sound, registry, tmp_path):
    table = {**sound.table, "new": {"a": [1, None]}, "loop": {**sound.table["loop"]}}
    assert read_manifest(PATH, table, RESUMING) == table
    for name in ("unroll", "loop", "observers", "environment", "created", "charrnn"):
        less = dropped(table, (name,))
        assert read_manifest(PATH, less) == less  # from before it was recorded
    for name in ("config", "alphabet", "plugins", "corpus", "step"):
        with pytest.raises(CheckpointError, match=f"a.crn is not a usable .*: {name} is missing"):
            read_manifest(PATH, dropped(table, (name,)))
    with pytest.raises(CheckpointError, match="a.crn is not a usable checkpoint of a run"):
        read_manifest(PATH, TABLE)


def test_info_is_json_whatever_an_observer_remembers(newest, sound, tmp_path):
    kept = {"mine": {"digest": b"ho", "best": float("nan")}}
    table = {**sound.table, "observers": kept, "held_out_nats_per_char": float("inf")}
    save_checkpoint(tmp_path / "a.crn", table, sound.arrays)
    shown = json.loads(json.dumps(for_json(describe_run(tmp_path / "a.crn")), allow_nan=False))
    assert shown["observers"] == {"mine": {"digest": "686f", "best": "nan"}}
    assert shown["held_out_nats_per_char"] == "inf"


@pytest.mark.parametrize(
    "change, message",
    [
        (("loop", "step", "x"), r"loop\.step is 'x'; expected an integer"),
        (("loop", "tenths", 11), r"loop\.tenths is 11; expected a number from 0 to 10"),
        (("alphabet", []), "alphabet: it has 0 symbols; expected at least 2"),
        (("alphabet", [97, 97]), "alphabet: an alphabet cannot repeat symbols"),
        (
            ("alphabet", [97, 2**40]),
            "alphabet: not an alphabet: .*; expected a list of code points",
        ),
        (("config", 3), "config is 3; expected a table"),
        (("config", "\x1b", b""), "'config.*is b''; expected plain data|config.*expected plain"),
        (("plugins", 0, "name", ""), r"plugins\[0\]\.name is ''; expected a text of 1 to 1000"),
        (("corpus", "sha256", "x"), r"corpus\.sha256 is 'x'; expected a SHA-256 in hexadecimal"),
        (("unroll", "loops", [{}]), r"unroll\.loops\[0\]\.deferred is missing"),
        (("unroll", "engine", 1), r"unroll\.engine is 1; expected true or false"),
    ],
)
def test_a_refusal_names_the_place(sound, change, message):
    *place, value = change
    with pytest.raises(CheckpointError, match=message) as caught:
        read_manifest(PATH, changed(dict(sound.table), tuple(place), value))
    assert str(caught.value).startswith("a.crn is not a usable checkpoint of a run: ")


def test_how_training_stood_is_typed_and_bounded():
    sound = LoopState().table()
    assert LoopState.read(sound) == LoopState()
    losses = ("row_nats", "held_out", "best", "best_train")
    for name in sound:
        for wrong in ("x", -1, 2.5, True, [True], [-1], b"", {}, float("nan")):
            table = {**sound, name: wrong}
            if name == "spent" and wrong == {}:
                continue  # checkpoints of before do not have it
            if name in (*losses, "seconds", "row_seconds"):
                if type(wrong) is float or name in losses and wrong == -1:
                    continue
            with pytest.raises(CheckpointError, match=f"cannot be used: loop.{name}"):
                LoopState.read(table)
        if name in ("best_train", "overfits"):  # nor these
            assert LoopState.read(dropped(sound, (name,))) == LoopState()
            continue
        if name == "spent":
            before = LoopState.read({**dropped(sound, (name,)), "seconds": 5.0})
            assert before.spent == {"other": 5.0}
            continue
        with pytest.raises(CheckpointError, match="does not hold the state of training"):
            LoopState.read(dropped(sound, (name,)))


def test_plain_data_is_not_nested_deep():
    value: Any = 1
    for depth in range(80):
        if depth == 60:
            check(value, Any, "it")
        value = [value]
    with pytest.raises(ValueError, match="it is nested more than 64 deep"):
        check(value, Any, "it")
