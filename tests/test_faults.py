"""A disk that fails: an error with the path and a remedy, the old checkpoint, no rubbish."""

import errno
import os
import re
import subprocess
import sys

import pytest

from charrnn_core.errors import StorageError
from charrnn_core.files import atomic as storage
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.writer import RunWriter
from tests.crashes import (
    ROOT,
    SMALL,
    Failing,
    Recorder,
    content,
    found,
    make_run,
    save,
    temporaries,
)

REMEDIES = {
    errno.ENOSPC: "free some space or choose another directory",
    errno.EDQUOT: "free some of your quota or choose another directory",
    errno.EROFS: "the file system is read-only: choose another directory",
    errno.EIO: "",
}
codes = pytest.mark.parametrize("code", REMEDIES, ids=lambda code: errno.errorcode[code])


@pytest.fixture
def run(tmp_path) -> RunWriter:
    """A run whose next save, the tenth, removes two checkpoints."""
    return make_run(tmp_path / "run", 9, SMALL)


def calls_of_a_save(run: RunWriter) -> list[str]:
    """The names of the calls that `save` makes."""
    disk = Recorder()
    save(make_run(run.path.parent / "other", 9, SMALL), 10, disk, SMALL)
    return [call[0] for call in disk.calls]


def said(error: pytest.ExceptionInfo, code: int, path: object) -> bool:
    """Whether a message has the path, the reason and the remedy, in a line."""
    remedy = f"; {REMEDIES[code]}" if REMEDIES[code] else ""
    expected = rf"cannot \w+ {re.escape(str(path))}: {re.escape(os.strerror(code) + remedy)}"
    return re.fullmatch(expected, str(error.value)) is not None


@codes
def test_every_call_may_fail(run, code):
    calls = calls_of_a_save(run)
    assert calls.count("write") == 5 and calls.count("unlink") == 2
    saved = run.saved()
    for at, call in enumerate(calls, 1):
        disk = Failing(code, at)
        with pytest.raises(StorageError) as error:
            save(run, 10, disk, SMALL)
        assert disk.failed == call
        assert said(error, code, saved[0] if call == "unlink" else run.checkpoint_file(10)) or (
            at == len(calls) and said(error, code, saved[1])
        )
        assert not temporaries(run)
        written = "sync_directory" in calls[:at]
        assert found(run, SMALL) == (10 if written else 9)
        if not written:
            assert run.saved() == saved
    save(run, 10, most=SMALL)
    assert found(run, SMALL) == 10 and len(run.saved()) == 2


@codes
def test_the_disk_may_be_full_at_any_byte(run, code):
    path, old = run.checkpoint_file(9), run.checkpoint_file(9).read_bytes()
    header = 10 + int.from_bytes(old[6:10], "little")
    arrays = [array.nbytes for array in content(9, SMALL)[1].values()]
    ends = [header + sum(arrays[:count]) for count in range(len(arrays) + 1)]
    assert ends[-1] == len(old) - 32
    for after in {0, 1, 9, 10, 40, header - 1, *ends, ends[1] + 1, len(old) - 31, len(old) - 1}:
        with pytest.raises(StorageError) as error:
            save_checkpoint(path, *content(9, SMALL), Failing(code, after=after))
        assert said(error, code, path)
        assert path.read_bytes() == old and not temporaries(run)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_interrupts_a_save_leaves_no_temporary(run, error):
    def chunks():
        yield b"new"
        raise error

    old = run.checkpoint_file(9).read_bytes()
    with pytest.raises(error):
        storage.write_atomically(run.checkpoint_file(9), chunks())
    assert run.checkpoint_file(9).read_bytes() == old and not temporaries(run)


def test_a_temporary_that_cannot_be_removed_is_removed_by_the_next_writer(run):
    class Broken(Failing):
        def unlink(self, path):
            raise OSError(errno.EIO, "no")

    with pytest.raises(StorageError, match="No space left"):
        save(run, 10, Broken(errno.ENOSPC, 3), SMALL)
    assert temporaries(run)
    with run.writing():
        assert not temporaries(run)


def test_a_full_disk_is_cleared_before_anything_is_written(run, monkeypatch):
    """What killed writers left may be what fills it."""
    stale = run.checkpoints / ".step-000000010.crn.1-00000000.tmp"
    stale.write_bytes(b"x")

    def create(path):
        if stale.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return storage.Disk().create(path)

    monkeypatch.setattr(storage.DISK, "create", create)
    with run.writing():
        pass


def test_the_owner_file_may_become_immovable(run, monkeypatch):
    """The error of a training is not replaced by that of the end of its writing."""
    owner = run.path / ".owner"
    with pytest.raises(ValueError, match="mine"):
        with run.writing():
            owner.unlink()
            owner.mkdir()
            raise ValueError("mine")
    owner.rmdir()
    with run.writing():
        pass


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES])
def test_a_file_system_that_cannot_sync_directories_is_used(tmp_path, monkeypatch, code):
    def fsync(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    storage.DISK.sync_directory(tmp_path)
    with pytest.raises(StorageError):
        storage.write_atomically(tmp_path / "file", [b"x"])


def limits(kind: str, base: object, *before: str) -> str:
    """What tests/limits.py says; `before` are words before the command."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "tests.limits", kind, str(base)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_limit_of_the_size_of_files(tmp_path):
    expected = r"cannot write .*step-000000003.crn: File too large; raise the limit"
    assert re.match(expected, limits("small_files", tmp_path))


def test_a_directory_that_may_only_be_read(tmp_path):
    first, second = limits("no_permission", tmp_path).splitlines()
    assert re.match(r"cannot write .*: Permission denied; change its permissions", first)
    assert re.match(r"cannot write in run: Permission denied; change its permissions", second)


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("no_space", "cannot write .*: No space left on device; free some space"),
        ("read_only", "cannot write .*: Read-only file system; the file system is read-only"),
    ],
)
def test_a_real_file_system(tmp_path, kind, expected):
    mount = f"mount -t tmpfs -o size=64k,mode=755 charrnn '{tmp_path}'"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("file systems may not be mounted here")
    inside = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    assert re.match(expected, limits(kind, tmp_path, *inside))


def test_a_run_that_may_not_be_looked_into(run, monkeypatch):
    def stat(path, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def listdir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", listdir)
        with pytest.raises(StorageError, match="cannot read .*/checkpoints: Permission denied"):
            open_checkpoint(run.path, print)
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat)
        with pytest.raises(StorageError, match="cannot read .*/run: Permission denied"):
            open_checkpoint(run.path, print)
