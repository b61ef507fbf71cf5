"""What observers want remembered: only what a checkpoint gives back, so that all can be read."""

import enum
import math
import types

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import ObserverPlugin, RunConfig, hookimpl, train
from charrnn_core.errors import CheckpointError
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.files.plain import plain
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.training.observers import MOST_BYTES, Observers

Kind = enum.StrEnum("Kind", {"COLD": "cold"})


def deep(levels: int) -> list:
    inside: list = []
    for _ in range(levels):
        inside = [inside]
    return inside


def endless() -> list:
    inside: list = []
    inside.append(inside)
    return inside


BAD = {
    "integer keys": ({0: 1}, "the key 0 (int) is not text"),
    "integer keys inside": ([{"a": ({3: 1},)}], "the key 3 (int) is not text"),
    "a key that is no number": ({math.nan: 1}, "the key nan (float) is not text"),
    "bytes as a key": ({b"a": 1}, "the key b'a' (bytes) is not text"),
    "nothing as a key": ({None: 1}, "the key None (NoneType) is not text"),
    "a set": ({"seen": {1}}, "{1} (set) is not plain data"),
    "an array": ({"a": np.zeros(2)}, "array([0., 0.]) (ndarray) is not plain data"),
    "a number of NumPy": (np.int64(3), "(int64) is not plain data"),
    "bytes": (b"a", "b'a' (bytes) is not plain data"),
    "a time": (msgpack.Timestamp(0), "(Timestamp) is not plain data"),
    "an extension": (msgpack.ExtType(1, b""), "b'' (bytes) is not plain data"),
    "a large integer": ([2**64], "a 65-bit integer; expected at most 64 bits"),
    "a small integer": (-(2**63) - 1, "a 64-bit integer"),
    "a surrogate": ("\udcff", "'\\udcff' (str) is not valid Unicode"),
    "a surrogate in a key": ({"\udcff": 1}, "is not valid Unicode"),
    "too deep": (deep(100), "it is nested more than 32 deep"),
    "endless": (endless(), "it is nested more than 32 deep"),
    "too large": (["a" * 1000] * 300, "it takes more than 262,144 bytes"),
    "one large text": ("ä" * 140_000, "it takes more than 262,144 bytes"),
}


class Remembering:
    """An observer with a given state."""

    def __init__(self, state: object) -> None:
        self.given, self.heard = state, 0

    def on_checkpoint(self, event: object) -> None:
        self.heard += 1

    def state(self) -> object:
        return self.given

    def restore(self, state: object) -> None:
        self.given = state


def audience(*observers: Remembering) -> tuple[Observers, list[str]]:
    """An audience of these observers, called o1, o2, ..., and its notes."""
    plugins = [
        ObserverPlugin(name=f"o{number}", target=lambda options, observer=observer: observer)
        for number, observer in enumerate(observers, 1)
    ]
    registry = with_observers(Registry(), plugins)
    notes: list[str] = []
    refs = [Ref(plugin.name) for plugin in plugins]
    return Observers(refs, [], registry, notes.append), notes


def with_observers(registry: Registry, plugins: list[ObserverPlugin]) -> Registry:
    module = types.ModuleType("remembering")
    vars(module)["charrnn_observers"] = hookimpl(lambda: plugins)
    registry.add(lambda: module, "remembering")
    return registry


@pytest.mark.parametrize("state, why", BAD.values(), ids=BAD)
def test_what_no_checkpoint_gives_back_is_named_and_left_out(tmp_path, state, why):
    good, bad = Remembering({"rows": [1, 2.5]}), Remembering(state)
    hall, notes = audience(bad, good)
    states = hall.states()
    [note] = notes
    assert states == {"o2": {"rows": [1, 2.5]}}
    assert note.startswith("observer Remembering failed and was removed: ValueError: a checkpoint")
    assert why in note and len(note) < 400
    assert hall.states() == states and len(notes) == 1  # named once
    hall.restore({"o1": 7, "o2": 8})
    assert (bad.given, good.given) == (state, 8)
    save_checkpoint(tmp_path / "a.crn", {"observers": states}, {})
    assert load_checkpoint(tmp_path / "a.crn").table["observers"] == states


def test_all_of_them_have_room_in_common():
    half = "a" * (MOST_BYTES // 2 - 100)
    hall, notes = audience(*(Remembering(half) for _ in range(3)))
    assert set(hall.states()) == {"o1", "o2"} and "more than" in notes[0]


def test_observers_that_are_equal_are_not_taken_for_each_other():
    class Equal(Remembering):
        __hash__ = None  # type: ignore[assignment]  # as a dataclass that can change

        def __eq__(self, other: object) -> bool:
            return True

    hall, notes = audience(Equal(1), Equal({1}), Equal(3))
    assert hall.states() == {"o1": 1, "o3": 3} == hall.states() and len(notes) == 1


class Number(float):
    """A float with a name of its own."""


@pytest.mark.parametrize(
    "state, kept",
    [
        ({"a": (1, [2])}, {"a": [1, [2]]}),
        ({Kind.COLD: Kind.COLD}, {"cold": "cold"}),
        (np.float64(0.5), 0.5),
        (Number(0.25), 0.25),
        (enum.IntEnum("Way", {"UP": 3})(3), 3),
        ([True, None, -(2**63), 2**64 - 1, math.inf, "\0ä😀"],) * 2,
    ],
)
def test_what_is_plain_comes_back(tmp_path, state, kept):
    found = plain(state, 1000)
    assert found == kept and type(found) is type(kept)
    save_checkpoint(tmp_path / "a.crn", {"state": found}, {})
    assert load_checkpoint(tmp_path / "a.crn").table["state"] == kept


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.text(st.characters(categories=["Cs", "Ll"])) | st.sets(st.integers()),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(
        st.text() | st.integers() | st.floats() | st.none() | st.booleans(), inner
    ),
    max_leaves=8,
)  # fmt: skip


@given(ANYTHING)
def test_whatever_is_taken_comes_back(tmp_path_factory, state):
    try:
        kept = plain(state, 10_000)
    except ValueError:
        return
    path = tmp_path_factory.getbasetemp() / "state.crn"
    save_checkpoint(path, {"state": kept}, {})
    found = load_checkpoint(path).table["state"]
    assert msgpack.packb(found) == msgpack.packb(kept)  # what is no number equals nothing


@pytest.mark.parametrize("table", [{"x": {1: 2}}, {"x": [{None: 2}]}, {"x": {(1, 2): 3}}])
def test_a_table_that_cannot_be_read_again_does_not_replace_one_that_can(tmp_path, table):
    path = tmp_path / "a.crn"
    save_checkpoint(path, {"good": True}, {})
    with pytest.raises(CheckpointError, match="cannot save .*a.crn: its table is not plain data"):
        save_checkpoint(path, table, {})
    assert load_checkpoint(path).table == {"good": True}
    assert [file.name for file in tmp_path.iterdir()] == ["a.crn"]


@pytest.mark.slow
def test_a_training_with_such_an_observer_can_be_read(text_file, tmp_path):
    """It keeps its metrics and the others' memory as if the observer had not been there."""
    made: list[Remembering] = []

    class Counting(Remembering):
        def __init__(self, options: object) -> None:
            super().__init__({0: 0})
            made.append(self)

    plugin = ObserverPlugin(name="counting", target=Counting)
    registry = with_observers(Registry.installed(), [plugin])
    config = RunConfig(
        source=str(text_file), cell="elman:4", characters=600, batch=4, window=16, embedding=4,
        observers="counting,jsonl", eval_characters=200, sample_length=2,
    )  # fmt: skip
    notes: list[str] = []
    out = tmp_path / "run"
    train(config, out=out, registry=registry, note=notes.append)
    left_out = [note for note in notes if "Counting failed and was removed" in note]
    assert len(left_out) == 1 and made[0].heard == 0
    _, checkpoint = open_checkpoint(out, notes.append)
    metrics, samples = (out / name for name in ("metrics.jsonl", "samples.jsonl"))
    assert checkpoint.table["observers"] == {
        "jsonl": {"bytes": metrics.stat().st_size, "samples": samples.stat().st_size}
    }
