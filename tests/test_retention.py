"""Whatever happens to a run, one good checkpoint is left of those there were, and it is right."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from charrnn_core.errors import CheckpointError
from tests.crashes import SMALL, Dead, Killed, found, make_run, save, temporaries

DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "a bit": lambda data: data[:40] + bytes([data[40] ^ 4]) + data[41:],
    "zeros": lambda data: data[:4] + bytes(len(data) - 4),
    "longer": lambda data: data + b"\0",
}


class Run(RuleBasedStateMachine):
    """A run that is saved, killed, damaged, pruned, rolled back and read, in any order."""

    def __init__(self):
        super().__init__()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.base = Path(tempfile.mkdtemp(prefix="charrnn-run-", dir=memory))
        self.run = make_run(self.base / "run")
        self.damaged: set[Path] = set()
        self.step = 0

    def teardown(self):
        shutil.rmtree(self.base)

    def good(self) -> list[Path]:
        return [path for path in self.run.saved() if path not in self.damaged]

    def newest(self) -> int:
        """The step that must be found: that of the newest file nobody has damaged."""
        return int(self.good()[-1].name[5:-4]) if self.good() else 0

    @rule(gap=st.integers(1, 3))
    def save(self, gap):
        self.step += gap
        save(self.run, self.step, most=SMALL)
        self.damaged.discard(self.run.checkpoint_file(self.step))

    @rule(gap=st.integers(1, 3), at=st.integers(1, 14))
    def die_amid_a_save(self, gap, at):
        path, before = self.run.checkpoint_file(self.step + gap), self.good()
        data = path.read_bytes() if path.exists() else None
        try:
            save(self.run, self.step + gap, Dead(at), SMALL)
        except Killed:
            pass
        if path.exists() and path.read_bytes() != data:
            self.damaged.discard(path)
        assert self.good() or not before
        self.go_on()

    def go_on(self):
        """What resume does; if no checkpoint is good, somebody removes them and begins anew."""
        if not self.good():
            for path in self.run.saved():
                path.unlink()
        with self.run.writing():
            assert not temporaries(self.run)
        self.step = found(self.run, SMALL, lambda line: None)

    @precondition(lambda self: self.run.saved())
    @rule(data=st.data(), damage=st.sampled_from(sorted(DAMAGES)))
    def damage(self, data, damage):
        path = data.draw(st.sampled_from(self.run.saved()), "path")
        if path not in self.damaged:
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
            self.damaged.add(path)

    @precondition(lambda self: self.run.saved())
    @rule(data=st.data())
    def lose(self, data):
        data.draw(st.sampled_from(self.run.saved()), "path").unlink()

    @rule(keep_last=st.integers(1, 3), data=st.data())
    def prune(self, keep_last, data):
        good, before = self.good(), self.run.saved()
        steps = [*(int(path.name[5:-4]) for path in before), 0]
        keep = data.draw(st.sets(st.sampled_from(steps), max_size=2), "keep")
        if good or len(before) <= keep_last:
            self.run.prune(keep_last, keep)
        else:
            with pytest.raises(CheckpointError):
                self.run.prune(keep_last, keep)
        assert self.good()[-1:] == good[-1:]
        kept = {self.run.checkpoint_file(step) for step in keep}
        assert {*self.run.saved()} >= kept & {*before}
        if good:
            trusted = [path for path in self.run.saved() if path <= good[-1]]
            assert len([path for path in trusted if path not in kept]) <= keep_last

    @precondition(lambda self: self.good())
    @rule(data=st.data())
    def roll_back(self, data):
        path = data.draw(st.sampled_from(self.good()), "path")
        self.step = int(path.name[5:-4])
        self.run.remove_after(self.step)
        assert self.run.saved()[-1] == path
        save(self.run, self.step, most=SMALL)

    @rule()
    def resume(self):
        self.go_on()

    @invariant()
    def the_newest_good_one_is_used_and_right(self):
        lines: list[str] = []
        if self.good() or not self.run.saved():
            assert found(self.run, SMALL, lines.append) == self.newest()
            newest = [
                path for path in self.run.saved() if path > self.run.checkpoint_file(self.newest())
            ]
            assert len(lines) == bool(newest)
            assert all(str(path) in lines[0] for path in newest)
        else:
            with pytest.raises(CheckpointError):
                found(self.run, SMALL, lines.append)


TestRun = Run.TestCase
TestRun.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
