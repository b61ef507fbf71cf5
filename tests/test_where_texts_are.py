"""A run finds its text again: what was piped in is kept, what has moved is looked for and named."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from charrnn_text import CSVOptions, FileOptions, RowOptions
from charrnn_text.files import file
from charrnn_text.tables import csv, jsonl

from charrnn_core import RunConfig, evaluate, load, resume, train
from charrnn_core.api import training_ids
from charrnn_core.errors import (
    CharRNNError,
    CorpusError,
    ResumeError,
    SourceError,
    StorageError,
    UsageError,
)
from charrnn_core.files.atomic import cache_directory
from charrnn_core.registry.single_file import (
    VARIABLE,
    environment_for_children,
    keep_copies,
    local_files,
    using_local_files,
)
from charrnn_core.registry.spec import source_ref
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.runs.settings import moved, read_settings, source_with
from charrnn_core.runs.writer import RunWriter
from charrnn_core.terminal import tell_of_waiting
from charrnn_core.text.corpus import Corpus, Known, SourceContext
from charrnn_core.text.kept import KEPT_NAME, keep_text, read_kept
from tests.conftest import PLAIN
from tests.resuming import quiet

SETTINGS = {
    "cell": "elman:4", "batch": 4, "window": 8, "observers": "jsonl", "sample_length": 5, **PLAIN,
}  # fmt: skip


class Stdin(io.TextIOWrapper):
    """Standard input with these bytes, or a terminal where somebody types them."""

    def __init__(self, data: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data))
        self.isatty = lambda: terminal  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def piped(tmp_path_factory, small_text):
    """A run of what was piped in, interrupted at once."""
    out = tmp_path_factory.mktemp("piped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", Stdin(small_text.replace("\n", "\r\n").encode()))
        config = RunConfig(source="-", characters=600, **SETTINGS)
        train(config, out=out, stop=lambda: True, note=quiet)
    return out


@pytest.fixture(scope="module")
def typed(tmp_path_factory, small_text):
    """A run of a file that was given by a path relative to where it began, in UTF-16."""
    base = tmp_path_factory.mktemp("typed")
    (base / "there").mkdir()
    (base / "there" / "text.txt").write_bytes(small_text.encode("utf-16"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base / "there")
        source = source_ref("text.txt").with_options({"encoding": "utf-16"})
        config = RunConfig(source=source, characters=600, **SETTINGS)
        train(config, out=base / "run", stop=lambda: True, note=quiet)
    return base


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_piped_in_is_kept_and_nothing_asks_for_it_again(
    piped, elsewhere, monkeypatch, small_text
):
    monkeypatch.setattr(sys, "stdin", None)
    run, notes = Path(shutil.copytree(piped, elsewhere / "run")), []
    kept = (run / KEPT_NAME).read_bytes()
    _, checkpoint = open_checkpoint(run, quiet)
    assert kept.decode() == small_text
    assert hashlib.sha256(kept).hexdigest() == checkpoint.table["corpus"]["sha256"]
    assert resume(run, note=notes.append).reason == "finished"
    model = load(run)
    assert evaluate(model, note=notes.append).baselines and len(training_ids(model)) > 3000
    assert notes == [] and (run / KEPT_NAME).read_bytes() == kept
    assert load(RunWriter(run).saved()[-1]).directory == run


def test_what_is_kept_is_verified_and_no_link_is_followed(piped, elsewhere, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(b"another text"))
    run, notes = Path(shutil.copytree(piped, elsewhere / "run")), []
    (run / KEPT_NAME).write_bytes((run / KEPT_NAME).read_bytes()[:-1])
    with pytest.raises(ResumeError, match="the text of standard input has changed"):
        resume(run, note=notes.append)
    assert "is not the text that the run was trained on" in notes[0]
    assert "the run has kept no copy" in notes[1] and len(notes) == 2
    (run / KEPT_NAME).rename("stolen")
    for make in (lambda path: path.symlink_to(elsewhere / "stolen"), os.mkfifo, os.mkdir):
        make(run / KEPT_NAME)
        with pytest.raises(StorageError, match="; expected a regular file"):
            resume(run, note=quiet)
        shutil.rmtree(run / KEPT_NAME) if (run / KEPT_NAME).is_dir() and not (
            run / KEPT_NAME
        ).is_symlink() else (run / KEPT_NAME).unlink()


def test_without_a_copy_it_must_be_piped_again(piped, elsewhere, monkeypatch, small_text):
    run, notes = Path(shutil.copytree(piped, elsewhere / "run")), []
    (run / KEPT_NAME).unlink()
    monkeypatch.setattr(sys, "stdin", Stdin(terminal=True))
    for again in (lambda: resume(run, note=quiet), lambda: evaluate(load(run), note=quiet)):
        with pytest.raises(SourceError, match="pipe the same text into this command again"):
            again()
    monkeypatch.setattr(sys, "stdin", Stdin())
    with pytest.raises(CorpusError, match="standard input is empty"):
        resume(run, note=quiet)
    monkeypatch.setattr(sys, "stdin", Stdin(small_text.encode()))
    assert resume(run, note=notes.append).reason == "finished"
    assert "the run has kept no copy" in notes[0] and (run / KEPT_NAME).exists()


@pytest.mark.parametrize("text, kept", [("ho\udcff—" * 10, True), ("ho\udcff—" * 11, False)])
def test_how_much_is_kept(text, kept, tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn_core.text.kept.KEPT_BYTES", 80)
    monkeypatch.setattr("charrnn_core.text.kept._IN_MEMORY", 10)
    monkeypatch.setattr("charrnn_core.text.kept._CHUNK", 3)
    corpus, notes = Corpus(text=text, name="n", origin="o", once=True), []
    keep_text(tmp_path, corpus, notes.append)
    record = {"name": "n", "origin": "o", "licence": None, "sha256": corpus.sha256}
    found = read_kept(tmp_path, record, notes.append)
    assert (found is not None) == kept == (not notes)
    if found is not None:
        assert "".join(found.read()) == text and found.sha256 == corpus.sha256
    keep_text(tmp_path / "other", Corpus(text=text, name="n", origin="o"), notes.append)
    assert not (tmp_path / "other").exists()


def test_a_terminal_is_not_waited_for_in_silence(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", Stdin(b"typed", terminal=True))
    notes = []
    assert file("-", FileOptions(), SourceContext(tmp_path, note=notes.append)).text == "typed"
    assert notes == ["reading the text from the terminal; end it with Ctrl-D"]
    tell_of_waiting(io.BytesIO(), "the prompt", notes.append)
    assert len(notes) == 1


def test_commands_that_read_a_terminal_say_so(piped, tmp_path):
    """Real terminals: eval has its copy, sample and novelty say what they wait for."""
    code = (
        "import os, pty, sys, threading\n"
        "pid, terminal = pty.fork()\n"
        "if not pid:\n"
        "    os.execv(sys.executable, [sys.executable, '-m', 'charrnn_core', *sys.argv[1:]])\n"
        "seen = b''\n"
        "try:\n"
        "    while piece := os.read(terminal, 4096):\n"
        "        seen += piece\n"
        "        if b'Ctrl-D' in seen:\n"
        "            os.write(terminal, b'Ann\\n\\x04')\n"
        "except OSError:\n"
        "    pass\n"
        "print(seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    command = ["sample", str(piped), "--prompt-file", "-", "--length", "5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=100
    )
    assert "reading the prompt from the terminal; end it with Ctrl-D" in done.stdout, done.stderr
    assert done.stdout.rstrip().endswith("0")


def test_a_relative_path_is_found_from_elsewhere(typed, elsewhere):
    run, notes = Path(shutil.copytree(typed / "run", elsewhere / "run")), []
    (elsewhere / "text.txt").write_text("another text of the same name")
    assert resume(run, note=notes.append).reason == "finished"
    line = f"note: reading the text from {typed / 'there' / 'text.txt'}, where the run found it"
    assert [note for note in notes if note.startswith(line)] and len(notes) == 1
    assert evaluate(load(run), note=quiet).baselines


def test_a_text_that_has_moved_can_be_named(typed, elsewhere, small_text):
    run, there = Path(shutil.copytree(typed / "run", elsewhere / "run")), typed / "there"
    (there / "text.txt").rename(elsewhere / "moved.txt")
    try:
        for again in (lambda: resume(run, note=quiet), lambda: evaluate(load(run), note=quiet)):
            with pytest.raises(SourceError) as caught:
                again()
            for part in ("'text.txt'", f"'{there / 'text.txt'}'", "with --source"):
                assert part in str(caught.value)
        (elsewhere / "other.txt").write_bytes((small_text + "Ann.\n").encode("utf-16"))
        with pytest.raises(ResumeError, match="has changed.*--allow-change text"):
            resume(run, source="other.txt", note=quiet)
        done = resume(run, source="moved.txt", note=quiet)
        assert done.reason == "finished"
        assert done.model.config.source.table()["use"] == "file:moved.txt"
        assert done.model.config.source.options["encoding"] == "utf-16"
        assert RunConfig.read({"source": "file:moved.txt"}).source.argument in (
            RunWriter(run).config_file.read_text()
        )
        model = load(run)
        assert evaluate(model, note=quiet) == evaluate(
            model, source=moved(model.config.source, str(elsewhere / "moved.txt")),
            split="valid", note=quiet,
        )  # fmt: skip
    finally:
        (elsewhere / "moved.txt").rename(there / "text.txt")


def test_what_has_changed_in_both_places_is_what_was_typed(elsewhere):
    Path("a.txt").write_text("here")
    (elsewhere / "there").mkdir()
    (elsewhere / "there" / "a.txt").write_text("there")
    context = SourceContext(elsewhere, known=Known(str(elsewhere / "there" / "a.txt"), "0" * 64))
    assert file("a.txt", FileOptions(), context).text == "here"
    assert file("b.txt", FileOptions(), context).text == "there"
    context = SourceContext(elsewhere, known=Known("standard input", "0" * 64))
    with pytest.raises(
        SourceError, match="file 'b.txt' not found.*say where it is now with --source$"
    ):
        file("b.txt", FileOptions(), context)


@pytest.mark.parametrize(
    "read, name, row, options",
    [
        (csv, "a.csv#text", "text\nho ho\n", CSVOptions()),
        (jsonl, "a.jsonl#text", '{"text": "ho ho"}\n', RowOptions()),
    ],
)
def test_tables_are_looked_for_in_both_places_too(read, name, row, options, elsewhere, monkeypatch):
    Path(name.partition("#")[0]).write_text(row)
    found = read(name, options, SourceContext(elsewhere))
    (elsewhere / "there").mkdir()
    monkeypatch.chdir("there")
    known = Known(found.origin, found.sha256)
    again = read(name, options, SourceContext(elsewhere, known=known))
    assert (again.sha256, again.name, again.origin) == (found.sha256, found.name, found.origin)


def test_options_of_a_source_that_is_named(elsewhere):
    Path("a.txt").write_text("ho")
    found = source_with("a.txt", ["encoding=utf-16"])
    assert found is not None and found.table() == {"use": "file:a.txt", "encoding": "utf-16"}
    assert source_with(None, []) is None
    with pytest.raises(CharRNNError, match="without --source"):
        source_with(None, ["encoding=utf-16"])


# What a user gives as a path.


@pytest.fixture
def home(elsewhere, monkeypatch) -> Path:
    (elsewhere / "home").mkdir()
    (elsewhere / "here").mkdir()
    monkeypatch.setenv("HOME", str(elsewhere / "home"))
    monkeypatch.chdir(elsewhere / "here")
    return elsewhere / "home"


def test_the_home_directory_in_every_path(home, monkeypatch, typed):
    monkeypatch.setenv("CHARRNN_CACHE", "~/x")
    assert cache_directory() == home / "x"
    (home / "a.txt").write_text("ho ho")
    (home / "settings.toml").write_text('source = "~/a.txt"\nwindow = 7\n')
    settings = read_settings(Path("~/settings.toml"), {}, {})
    assert settings.window == 7 and settings.source.table()["use"] == "file:~/a.txt"
    assert read_settings(None, {"source": "~/a.txt"}, {}).source.argument == "~/a.txt"
    (home / "mine.py").write_text("")
    assert local_files({VARIABLE: "~/mine.py"}) == [home / "mine.py"]
    with using_local_files([Path("~/mine.py")]):
        assert local_files({}) == [home / "mine.py"]
        assert environment_for_children({"A": "b"})[VARIABLE] == str(home / "mine.py")
    assert local_files({}) == [] and environment_for_children({"A": "b"}) == {"A": "b"}
    with RunWriter.claim(RunConfig(), Path("~/runs/a")) as run:
        assert run.path == home / "runs" / "a" and run.checkpoints.is_dir()
    shutil.copytree(typed / "run", home / "run")
    assert read_settings(None, {"init_from": "~/run"}, {}).cell.options["features"] == 4
    assert load("~/run").config.window == 8
    assert not (home.parent / "here" / "~").exists()


def test_a_directory_that_is_called_like_the_home_directory(home):
    Path("~").mkdir()
    with RunWriter.claim(RunConfig(), Path.cwd() / "~" / "a") as run:
        assert run.path == Path.cwd() / "~" / "a" and run.checkpoints.is_dir()


def test_the_longest_name_of_a_file(elsewhere, registry):
    for name in ("x" * 249 + ".txt", "é" * 125 + ".tx"):
        Path(name).write_text("ho ho")
        with RunWriter.claim(RunConfig(source=name, cell="elman:4")) as run:
            assert len(os.fsencode(run.path.name)) < 150
            assert run.path.name.startswith("elman-file")
    with pytest.raises(StorageError, match=f"cannot create {'y' * 300}.*: File name too long"):
        with RunWriter.claim(RunConfig(), Path("y" * 300)):
            pass
    with pytest.raises(StorageError, match=f"cannot read {'y' * 300}: File name too long"):
        resume("y" * 300)
    with pytest.raises(UsageError, match="plugin file 'y+' not found"):
        with using_local_files([Path("y" * 300)]):
            pass


def test_the_longest_name_of_a_plugin(elsewhere):
    path = elsewhere / f"{'é' * 125}.py"
    path.write_text("# mine")
    keep_copies([path], elsewhere / "run")
    assert (elsewhere / "run" / path.name).read_text() == "# mine"
    assert len(list((elsewhere / "run").iterdir())) == 1


def test_a_folder_that_is_called_like_a_pattern(elsewhere):
    for path in ("lst[1]/a.txt", "lst[1]/b.txt", "lst1/c.txt", "lst[1]/x[2]/d.txt", "[a]/e.txt"):
        Path(path).parent.mkdir(exist_ok=True, parents=True)
        Path(path).write_text(path)

    def read(argument: str) -> str | None:
        return file(argument, FileOptions(), SourceContext(elsewhere)).text

    assert read("lst[1]/*.txt") == "lst[1]/a.txt\nlst[1]/b.txt"
    assert read(f"{elsewhere}/lst[1]/**/*.txt") == "lst[1]/a.txt\nlst[1]/b.txt\nlst[1]/x[2]/d.txt"
    assert read("lst[1]/x[2]/?.txt") == "lst[1]/x[2]/d.txt" and read("[a]/*") == "[a]/e.txt"
    assert read("lst[12]/*.txt") == "lst1/c.txt"  # no folder is called so: it is a pattern


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_settings_with_a_byte_order_mark(line_end, elsewhere):
    path = elsewhere / "settings.toml"
    path.write_bytes(
        line_end.join([b"\xef\xbb\xbfwindow = 7", b"[source]", b"use = 'file:a.txt'", b""])
    )
    assert read_settings(path, {}, {}).window == 7
    path.write_bytes("window = 7\n".encode("utf-16"))
    with pytest.raises(CharRNNError, match="it looks like utf-16; convert it.* TOML"):
        read_settings(path, {}, {})
