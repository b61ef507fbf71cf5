"""Power that fails at any moment leaves the old checkpoint or the new; once saved is for ever.

The calls of several saves are recorded; every prefix of them is replayed on a model of a disk that
may lose whatever was not synced, and what is left is opened.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import StorageError
from charrnn_core.files.atomic import make_directory
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.runs.writer import RunWriter
from tests.crashes import KEEP_LAST, SMALL, Noted, Recorder, best, content, found, make_run, save

Tree = dict[str, bytes]
Change = tuple[str, int | None]
CAUGHT = (AssertionError, Noted, StorageError)
STEPS = (1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11)
"""The steps of saves; a run that rolls back saves a step again."""


@dataclass
class Inode:
    """A file's bytes, and how many of them are on the medium for certain."""

    data: bytes = b""
    synced: int = 0

    def remains(self) -> set[bytes]:
        """What may be left of it: lost, cut short, holes where blocks were not written."""
        kept, lost = self.data[: self.synced], self.data[self.synced :]
        cuts = {kept + lost[:length] for length in (0, 1, len(lost) // 2, len(lost) - 1)}
        holes = {kept + bytes(len(lost)), kept + bytes(len(lost) // 2) + lost[len(lost) // 2 :]}
        return {self.data, *cuts, *holes} if lost else {self.data}


@dataclass
class Model:
    """One directory of a disk that keeps what was synced and may do anything with the rest."""

    inodes: list[Inode] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    descriptors: dict[int, int] = field(default_factory=dict)

    def apply(self, call: str, *arguments) -> None:
        """Take a call of the `Recorder`."""
        if call == "create":
            self.inodes.append(Inode())
            self.descriptors[arguments[1]] = len(self.inodes) - 1
            self.pending.append((arguments[0].name, len(self.inodes) - 1))
        elif call == "write":
            self.inodes[self.descriptors[arguments[0]]].data += arguments[1]
        elif call == "sync":
            inode = self.inodes[self.descriptors[arguments[0]]]
            inode.synced = len(inode.data)
        elif call == "replace":
            source, target = (path.name for path in arguments[:2])
            self.pending += [(target, self.now()[source]), (source, None)]
        elif call == "unlink":
            self.pending.append((arguments[0].name, None))
        elif call == "sync_directory":
            self.names, self.pending = self.now(), []

    def now(self, changes: Iterable[Change] | None = None) -> dict[str, int]:
        """The names as a running process sees them, or with some of the changes only."""
        names = dict(self.names)
        for name, inode in self.pending if changes is None else changes:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode
        return names

    def crashes(self) -> Iterator[Tree]:
        """Every directory that may be found after the power failed now."""
        for chosen in itertools.product((False, True), repeat=len(self.pending)):
            names = self.now(itertools.compress(self.pending, chosen))
            remains = [self.inodes[inode].remains() for inode in names.values()]
            for contents in itertools.product(*remains):
                yield dict(zip(names, contents, strict=True))


def recorded(base: Path, steps: Iterable[int] = STEPS, forgets: str = "") -> list[tuple]:
    """The calls of saves, with ``("saved", step)`` where each has returned."""
    disk, run = Recorder(forgets), make_run(base / "recorded")
    for step in steps:
        save_checkpoint(run.checkpoint_file(step), *content(step, SMALL), disk)
        disk.calls.append(("saved", step))
        run.prune(KEEP_LAST, [best(step)], disk)
    return disk.calls


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> list[tuple]:
    return recorded(tmp_path_factory.mktemp("calls"))


class Replay:
    """Lets the power fail after every call, and looks at the run that is left each time."""

    def __init__(self, base: Path):
        self.run = make_run(base / "left")
        self.seen: dict[frozenset, int] = {}

    def left(self, tree: Tree) -> int:
        """The step that a run directory with these files gives; 0 if it has none."""
        files = frozenset(tree.items())
        if files not in self.seen:
            for path in self.run.checkpoints.iterdir():
                path.unlink()
            for name, data in tree.items():
                (self.run.checkpoints / name).write_bytes(data)
            self.seen[files] = found(self.run, SMALL)
        return self.seen[files]

    def check(self, calls: list[tuple]) -> None:
        """Raise unless every crash leaves the last checkpoint saved, or the one being saved."""
        model, saved = Model(), 0
        for call, *arguments in calls:
            if call == "saved":
                saved = arguments[0]
            else:
                model.apply(call, *arguments)
            for tree in model.crashes():
                step = self.left(tree)
                assert step in (saved, saved + 1), f"after {saved} was saved, {step} is found"


def test_every_crash_leaves_the_old_or_the_new(tmp_path, calls):
    replay = Replay(tmp_path)
    replay.check(calls)
    assert set(replay.seen.values()) == {0, *STEPS} and len(replay.seen) > 200


@pytest.mark.parametrize("forgets", ["sync", "sync_directory"])
def test_a_writer_that_forgets_to_sync_is_caught(tmp_path, forgets):
    calls = recorded(tmp_path, (1, 2, 3), forgets)
    with pytest.raises(CAUGHT):
        Replay(tmp_path).check(calls)


def test_a_writer_that_prunes_before_the_new_one_is_durable_is_caught(tmp_path):
    calls = recorded(tmp_path, (1, 2))
    last = max(n for n, call in enumerate(calls) if call[0] == "replace")
    calls.insert(last + 1, ("unlink", Path("step-000000001.crn"), None))
    with pytest.raises(CAUGHT):
        Replay(tmp_path).check(calls)


def test_a_writer_in_place_is_caught(tmp_path):
    path, data = Path("step-000000001.crn"), b"CRNN"
    calls = [("create", path, 3), ("write", 3, data, 4), ("sync", 3, None)]
    with pytest.raises(CAUGHT):
        Replay(tmp_path).check([*calls, ("sync_directory", Path(), None)])


@given(st.data())
def test_what_follows_a_crash_is_as_durable(tmp_path_factory, calls, data):
    base, model = tmp_path_factory.mktemp("crash"), Model()
    for call, *arguments in calls[: data.draw(st.integers(0, len(calls)))]:
        if call != "saved":
            model.apply(call, *arguments)
    run = make_run(base / "left")
    for name, left in data.draw(st.sampled_from(list(model.crashes()))).items():
        (run.checkpoints / name).write_bytes(left)
    first = found(run, SMALL)
    with run.writing():
        for step in (first + 1, first + 2):
            save(run, step, most=SMALL)
            assert found(run, SMALL) == step


def test_a_new_directory_is_durable_with_all_its_parents(tmp_path):
    disk = Recorder()
    make_directory(tmp_path / "a" / "b" / "c", disk)
    synced = {path for call, path, _ in disk.calls if call == "sync_directory"}
    assert synced >= {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}


def test_a_writer_makes_its_run_durable(tmp_path, monkeypatch):
    disk = Recorder()
    monkeypatch.setattr("charrnn_core.files.atomic.DISK.sync_directory", disk.sync_directory)
    with RunWriter(tmp_path / "runs" / "a").writing():
        pass
    assert {tmp_path, tmp_path / "runs"} <= {path for _, path, _ in disk.calls}
