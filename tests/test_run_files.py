"""A run, or a file, that somebody else made: nothing outside is touched, nothing is waited for."""

import ast
import os
import re
import shutil
import signal
import tomllib
from pathlib import Path

import msgpack
import pytest
from charrnn_gutenberg.politeness import Pace
from charrnn_jsonl.observer import JSONLObserver

from charrnn_core import RunConfig, load, resume, train
from charrnn_core.downloaded import Downloaded
from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.files.atomic import is_locked, locked
from charrnn_core.files.checkpoint import FORMAT, load_checkpoint
from charrnn_core.files.regular import cut_own, named, own, read_own
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.single_file import keep_copies
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.runs.writer import RunWriter
from charrnn_core.text.mapped import open_ids
from charrnn_core.training.incidents import cut_log
from tests.crashes import ROOT
from tests.fuzz.nasty import array
from tests.resuming import quiet

SECRET = b"what is not to be cut, written or read\n" * 9


@pytest.fixture(autouse=True)
def no_waiting():
    """Whatever waits for a pipe fails."""

    def fail(number, frame):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def run(begun, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(begun, tmp_path / "run"))


@pytest.fixture
def victim(tmp_path):
    """A file of the user's, outside of every run."""
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


def put(path: Path, what: str, victim: Path) -> None:
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    if what == "a symbolic link":
        path.symlink_to(victim)
    elif what == "a pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("what", ["a symbolic link", "a pipe", "a directory"])
@pytest.mark.parametrize(
    "name", ["incidents.jsonl", "metrics.jsonl", "samples.jsonl", "config.toml", ".lock"]
)
def test_a_file_of_a_run_that_is_none(run, victim, name, what):
    put(run / name, what, victim)
    with pytest.raises(StorageError, match=f"{name} is {what}; expected a regular file: remove it"):
        resume(run, note=quiet)
    assert victim.read_bytes() == SECRET


def test_a_link_to_nothing_is_not_created(run, tmp_path):
    (run / "incidents.jsonl").symlink_to(tmp_path / "new")
    with pytest.raises(StorageError, match=r"incidents\.jsonl is a symbolic link"):
        resume(run, note=quiet)
    assert not (tmp_path / "new").exists()


def test_the_note_of_the_owner_is_written_anew(run, victim):
    put(run / ".owner", "a symbolic link", victim)
    with RunWriter(run).writing():
        assert not (run / ".owner").is_symlink()
        assert "pid" in read_own(run / ".owner").decode()
    put(run / ".owner", "a pipe", victim)
    assert RunWriter(run).writer() == "another process"
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("name", ["checkpoints", "plugins"])
def test_a_directory_of_a_run_that_is_a_link(run, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    if name == "checkpoints":
        (run / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (elsewhere / ".step.1-01234567.tmp").write_text("another's")
    (run / name).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    expected = f"{name} is a symbolic link; expected a directory"
    with pytest.raises(StorageError, match=expected):
        resume(run, note=quiet)
    with pytest.raises(StorageError, match=expected):
        train(RunConfig(cell="elman:4"), out=run, note=quiet)
    if name == "checkpoints":
        with pytest.raises(StorageError, match=expected):
            load(run, note=quiet)
    assert sorted(elsewhere.iterdir()) == before


def test_a_run_and_a_checkpoint_may_be_reached_by_links(run, tmp_path):
    (tmp_path / "latest").symlink_to(run)
    [newest] = RunWriter(tmp_path / "latest").saved()
    (tmp_path / "mine.crn").symlink_to(newest)
    for path in (tmp_path / "latest", tmp_path / "mine.crn"):
        assert load(path, note=quiet).parameters > 0
    with RunWriter.resuming(tmp_path / "latest"):
        assert is_locked(run / ".lock")


def test_checkpoints_in_a_run_are_files(run, tmp_path):
    [newest] = RunWriter(run).saved()
    newest.rename(tmp_path / "moved.crn")
    newest.symlink_to(tmp_path / "moved.crn")
    with pytest.raises(CheckpointError, match=r"step-000000000\.crn is a symbolic link; expected"):
        open_checkpoint(run, quiet)


def test_a_copy_of_a_plugin_replaces_a_link(tmp_path, victim):
    plugin = tmp_path / "cell.py"
    plugin.write_text("x = 1\n")
    (tmp_path / "plugins").mkdir()
    for target in (victim, plugin):
        (tmp_path / "plugins" / "cell.py").unlink(missing_ok=True)
        (tmp_path / "plugins" / "cell.py").symlink_to(target)
        keep_copies([plugin], tmp_path / "plugins")
        assert not (tmp_path / "plugins" / "cell.py").is_symlink()
        assert (tmp_path / "plugins" / "cell.py").read_text() == "x = 1\n"
    assert victim.read_bytes() == SECRET


def test_locks_do_not_cut_what_a_link_leads_to(tmp_path, victim):
    put(tmp_path / "lock", "a symbolic link", victim)
    with pytest.raises(StorageError, match="lock is a symbolic link"):
        with locked(tmp_path / "lock"):
            pass
    assert not is_locked(tmp_path / "lock") and victim.read_bytes() == SECRET


def test_no_lock_library_that_cuts_through_links_is_allowed():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [bound] = re.findall(r"filelock>=([\d.]+)", " ".join(table["project"]["dependencies"]))
    assert tuple(map(int, bound.split("."))) >= (3, 20, 3)


def test_caches_follow_no_links(tmp_path, victim):
    book = Downloaded(tmp_path, "gutenberg:520")
    for path in (book.raw, book.sidecar):
        put(path, "a symbolic link", victim)
    with pytest.raises(StorageError, match="is a symbolic link"):
        book.read()
    put(tmp_path / "ids.crni", "a symbolic link", victim)
    with pytest.raises(StorageError, match="is a symbolic link"):
        open_ids(tmp_path / "ids.crni", bytes(32))
    for what in ("a symbolic link", "a pipe"):
        put(tmp_path / "politeness.json", what, victim)
        Pace(tmp_path).count_book(520)  # what is not ours is written anew
        assert b'"books": 1' in read_own(tmp_path / "politeness.json")
    assert victim.read_bytes() == SECRET


def test_a_log_is_cut_and_never_made_longer(tmp_path):
    log = tmp_path / "log"
    cut_own(log, 5)
    assert not log.exists()
    log.write_bytes(b"0123456789")
    for length, left in ((11, 10), (10, 10), (4, 4), (10, 4), (2**62, 4), (0, 0)):
        cut_log(log, length)
        assert log.stat().st_size == left
    with pytest.raises(ValueError, match="-1 bytes; expected at least 0"):
        cut_own(log, -1)


@pytest.mark.parametrize("state", [{"bytes": -1}, {"bytes": "x"}, {"bytes": True}, {}, None, [1]])
def test_a_log_is_cut_to_a_number_of_bytes(state):
    with pytest.raises(CheckpointError, match=r"length of metrics\.jsonl is .*; expected a number"):
        JSONLObserver(None).restore(state)


def sparse(path: Path, size: int, nbytes: int | None) -> Path:
    """A checkpoint of that size, nearly all of which is a hole; its header asks for an array."""
    header = b""
    if nbytes is not None:
        header = msgpack.packb({"table": {}, "arrays": [array(shape=[nbytes], nbytes=nbytes)]})
    with open(path, "wb") as file:
        length = (len(header) if header else 2**32 - 1).to_bytes(4, "little")
        file.write(b"CRNN" + FORMAT.to_bytes(2, "little") + length + header)
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    "size, nbytes, message",
    [
        (2**42, 2**42, "is damaged: its header is not valid: .* not where they should be"),
        (2**42, 100, "is damaged: its header is not valid: .* bytes belong to no array"),
        (2**42, None, "is damaged: a header of 4294967295 bytes in a file of 4398046511104"),
        (1000, 10_000, "is damaged: its header is not valid"),
        (50, None, "is damaged: a header of 4294967295 bytes in a file of 50"),
    ],
)
def test_a_file_of_another_size_than_its_header_says(tmp_path, size, nbytes, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(sparse(tmp_path / "sparse.crn", size, nbytes))


def test_a_file_that_is_larger_than_memory(tmp_path):
    nbytes = 2**42
    header = sparse(tmp_path / "short.crn", 2**12, nbytes).read_bytes()
    length = 10 + int.from_bytes(header[6:10], "little")
    with pytest.raises(CheckpointError, match=r"has 4,096\.0 GiB of arrays, but this machine has"):
        load_checkpoint(sparse(tmp_path / "sparse.crn", length + nbytes + 32, nbytes))


@pytest.mark.parametrize("opener", [own, named])
def test_openers_take_regular_files_alone(tmp_path, victim, opener):
    with open(victim, "rb", opener=opener) as file:
        assert file.read() == SECRET
    for what in ("a pipe", "a directory"):
        put(tmp_path / what, what, victim)
        for mode in ("rb", "ab", "r+b"):
            with pytest.raises(StorageError, match=f"{what} is {what}; expected a regular file"):
                open(tmp_path / what, mode, opener=opener)
    with pytest.raises(StorageError, match="/dev/zero is a device; expected"):
        open("/dev/zero", "rb", opener=opener)
    with pytest.raises(FileNotFoundError):
        open(tmp_path / "nothing", "rb", opener=opener)


def test_the_system_is_asked_again_once_the_file_is_open(tmp_path, victim, monkeypatch):
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(victim)
    os.mkfifo(pipe)
    ordinary = os.stat(victim)
    monkeypatch.setattr("os.lstat", lambda path: ordinary)  # it was exchanged in between
    with pytest.raises(OSError, match="symbolic links"):
        own(str(link), os.O_RDWR | os.O_TRUNC)
    with pytest.raises(StorageError, match="is a pipe"):
        own(str(pipe), os.O_RDONLY)
    assert victim.read_bytes() == SECRET


def test_what_a_user_names_is_no_pipe_or_device(charrnn, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    os.mkfifo(tmp_path / "pipe.py")
    done = charrnn("run", "--config", "pipe.toml")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "pipe.toml is a pipe; expected a regular file: copy its contents to" in done.stderr
    with pytest.raises(StorageError, match="/dev/zero is a device"):
        read_toml(Path("/dev/zero"))
    for path in (tmp_path / "pipe.py", Path("/dev/zero"), tmp_path / "nothing.py"):
        [fault] = Registry.installed({"CHARRNN_PLUGINS": str(path)}).faults
        assert str(path) in fault.error and fault.version == "missing"
    done = charrnn("plugins", "--plugin", "pipe.py")
    assert done.returncode == 2 and "pipe.py' not found; expected" in done.stderr


def test_a_long_plugin_is_not_read(tmp_path):
    (tmp_path / "long.py").touch()
    os.truncate(tmp_path / "long.py", 2**42)
    [fault] = Registry.installed({"CHARRNN_PLUGINS": str(tmp_path / "long.py")}).faults
    assert "long.py has 4398046511104 bytes; expected at most" in fault.error


UNGUARDED = {
    "charrnn_core/files/regular.py": {"os.open"},
    # exclusively; directories; a new name
    "charrnn_core/files/atomic.py": {"os.open", "write_bytes"},
    "plugins/commands/charrnn_newplugin/kinds.py": {"read_text"},  # a package's
    # a package's; new files
    "plugins/commands/charrnn_newplugin/project.py": {"read_text", "write_text"},
    "plugins/commands/charrnn_check/resume.py": {"read_text"},  # a temporary directory of its own
    "plugins/commands/charrnn_install/pip.py": {"read_text"},  # a temporary directory of its own
    "charrnn_core/devices.py": {"read_text"},  # /proc/cpuinfo
    "charrnn_core/training/together.py": {"os.open"},  # /dev/null
    "plugins/sources/charrnn_text/archives.py": {"open"},  # a text may come from a pipe
    "charrnn_core/page/frame.py": {"read_text"},  # a package's
    "charrnn_core/page/writer.py": {"read_text"},  # a package's
    "plugins/commands/charrnn_export/page.py": {"read_text"},  # a package's
    "plugins/commands/charrnn_serve/page.py": {"read_text"},  # a package's
    "plugins/commands/charrnn_inspect/page.py": {"read_text"},  # a package's
    "charrnn_core/javascript/bundle.py": {"read_text"},  # a package's
    "charrnn_core/console/stdout.py": {"os.open"},  # /dev/null
    "charrnn_core/console/stdio.py": {"os.open"},  # /dev/null
    "charrnn_core/testing/recipes.py": {"write_text"},  # a temporary directory of its own
    "charrnn_core/registry/entrypoints.py": {"read_bytes", "read_text"},  # of what is installed
    "cli.py": {"os.open"},  # /dev/null
}
OPENING = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "truncate"}


def unguarded(source: str) -> set[str]:
    """How a module opens files by name without an opener that looks what they are."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and not any(word.arg == "opener" for word in node.keywords):
            if isinstance(node.func, ast.Name) and node.func.id == "open":
                found.add("open")
            elif isinstance(node.func, ast.Attribute) and node.func.attr in OPENING:
                module = getattr(node.func.value, "id", "")
                found.add(f"os.{node.func.attr}" if module == "os" else node.func.attr)
    return found


def test_every_file_is_opened_by_an_opener_that_looks_what_it_is():
    assert unguarded("open(x)\nos.truncate(x)\nx.read_text()") == {
        "open", "os.truncate", "read_text",
    }  # fmt: skip
    assert unguarded("open(x, opener=own)") == set()
    modules = [*ROOT.glob("charrnn_core/**/*.py"), *ROOT.glob("plugins/*/*/*.py"), ROOT / "cli.py"]
    for path in modules:
        name = str(path.relative_to(ROOT))
        more = unguarded(path.read_text()) - UNGUARDED.get(name, set())
        more -= {"truncate"} if name == "charrnn_core/files/regular.py" else set()
        assert not more, f"{name} opens files by {more}: use `charrnn_core.files.regular`"
