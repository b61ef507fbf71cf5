"""The sources ``file:PATH`` and ``python-docs``."""

import bz2
import gzip
import io
import lzma
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from charrnn_text import FileOptions
from charrnn_text.files import Texts, file
from charrnn_text.python_docs import docstrings, python_docs

from charrnn_core.errors import CharRNNError, CorpusError, SourceError
from charrnn_core.registry.options import NoOptions
from charrnn_core.registry.spec import Ref, source_ref
from charrnn_core.text.corpus import Corpus, SourceContext

CONTEXT = SourceContext(Path("/nonexistent"), offline=True)
PACKERS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(argument: str | None, **options: str) -> Corpus:
    return file(argument, FileOptions(**options), CONTEXT)


def error(kind: type[CharRNNError], argument: str | None) -> str:
    with pytest.raises(kind) as caught:
        read(argument)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: str, data: bytes | str) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data.encode() if isinstance(data, str) else data)
    return Path(path)


def test_a_file(here):
    write("fox.txt", b"\xef\xbb\xbfone\r\ntwo\rthree \xe2\x80\x94")
    corpus = read("fox.txt")
    assert corpus.text == "one\ntwo\nthree —"
    assert (corpus.name, corpus.origin) == ("file:fox.txt", str(here / "fox.txt"))
    assert corpus.licence is None
    assert read(str(here / "fox.txt")).text == corpus.text


def test_a_directory_is_read_in_order_without_hidden_files(here):
    write("books/b.txt", "b\n")
    write("books/a/z.txt", "z")
    write("books/a.txt.gz", gzip.compress(b"packed"))
    write("books/.hidden", b"\xff")
    write("books/.git/config", b"\xff")
    os.mkfifo("books/pipe")
    os.symlink(here / "nowhere", "books/dangling")
    assert read("books").text == "z\npacked\nb\n"


def test_a_pattern_is_read_in_order():
    for name in ("c/3.txt", "a/1.txt", "b/2.txt", "b/.2.txt", "b/skip.md"):
        write(name, name)
    Path("b/folder.txt").mkdir()
    assert read("*/*.txt").text == "a/1.txt\nb/2.txt\nc/3.txt"
    assert read("**/[12].txt").text == "a/1.txt\nb/2.txt"
    assert "'*.pdf' matches no files" in error(SourceError, "*.pdf")


def test_a_name_that_looks_like_a_pattern_is_a_name_first():
    write("a[1].txt", "brackets")
    write("a1.txt", "none")
    assert read("a[1].txt").text == "brackets"


def test_the_home_directory(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    write("fox.txt", "fox")
    assert read("~/fox.txt").text == read("~/*.txt").text == "fox"
    assert read("~/fox.txt").origin == str(here / "fox.txt")


def joined(texts: list[list[bytes]]) -> str:
    files = [("a file", lambda pieces=pieces: pieces) for pieces in texts]
    return "".join(Texts("all", files, FileOptions(), print)())


def test_joining():
    texts = [[b"a"], [b"b", b"\n"], [], [b"c"], [b""], [b"\xef\xbb\xbf"]]
    assert joined(texts) == "a\nb\nc"
    assert joined([]) == ""


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\r\ntwo"), "ascii"))
    corpus = read("-")
    assert (corpus.text, corpus.name, corpus.origin) == ("one\ntwo", "file:-", "standard input")
    assert read("-").text == "one\ntwo"  # whoever asks again gets the same
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert "standard input is empty" in error(CorpusError, "-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input" in error(SourceError, "-")


@pytest.mark.parametrize("argument", [None, ""])
def test_no_path_is_an_error(argument):
    assert "expected file:PATH" in error(SourceError, argument)


def test_a_missing_path_shows_the_nearest_name():
    write("books/moby-dick.txt", "whale")
    assert "did you mean 'books/moby-dick.txt'?" in error(SourceError, "books/mobydick.txt")
    assert "did you mean 'books'?" in error(SourceError, "book")
    assert "'zzz'" in error(SourceError, "zzz") and "mean" not in error(SourceError, "zzz")
    assert "nor its directory 'nowhere'" in error(SourceError, "nowhere/fox.txt")


@pytest.mark.parametrize("argument", ["a\0b", "x" * 5000, "a\0*"])
def test_impossible_paths_are_an_error(argument):
    error(SourceError, argument)


def test_nothing_to_read_is_an_error():
    Path("bare").mkdir()
    assert "'bare' contains no files" in error(SourceError, "bare")
    write("empty.txt", "")
    assert "empty.txt is empty" in error(CorpusError, "empty.txt")
    write("bom.txt", b"\xef\xbb\xbf")
    assert "is empty" in error(CorpusError, "bom.txt")
    write("empty.gz", b"")
    assert "is empty" in error(CorpusError, "empty.gz")


def test_a_bad_file_is_named_with_the_byte():
    write("books/good.txt", "good")
    write("books/worse.txt", b"caf\xe9!")
    message = error(CorpusError, "books")
    assert "books/worse.txt" in message and "0xe9 at offset 3" in message


BINARY = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(32)) * 9


def test_files_that_are_no_text_are_left_out_with_a_count():
    notes: list[str] = []
    context = SourceContext(Path("/nonexistent"), note=notes.append)
    write("books/good.txt", "good")
    write("books/image.png", BINARY)
    write("books/packed.gz", gzip.compress(BINARY))
    write("books/paper.pdf", "%PDF-1.4 plain")
    write("books/empty.txt", "")
    for argument in ("books", "books/*", "**/*.*"):
        assert file(argument, FileOptions(), context).text == "good"
        assert notes.pop() == (
            f"note: {argument}: skipping 3 of 5 files, which are not text: "
            "books/image.png, books/packed.gz, books/paper.pdf"
        )
    assert "none of the 3 files of 'books/*p*[!xt]' is text" in error(CorpusError, "books/*p*[!xt]")
    write("books/more.png", BINARY)
    file("books", FileOptions(), context)
    assert "4 of 6 files" in notes[0] and notes[0].endswith("books/packed.gz, and 1 more")
    # Whoever wants every byte gets it.
    assert "IHDR" in read("books/*.png", errors="escape").text


def test_a_file_that_is_named_alone_is_not_left_out():
    write("image.png", BINARY)
    assert "image.png" in error(CorpusError, "image.png")
    write("books/latin.txt", b"caf\xe9")  # text, which leaving out would lose
    assert "books/latin.txt" in error(CorpusError, "books")
    write("books/latin.txt", "ho ho".encode("utf-16"))
    assert "books/latin.txt" in error(CorpusError, "books")


def test_a_pattern_alone_is_a_source(here):
    write("deep/er/a.py", "print('a')")
    for text in (f"{here}/**/*.py", "deep/**/*.py", "deep/??/[a].py", "**/a.*"):
        assert source_ref(text) == Ref("file", text)
        assert read(source_ref(text).argument).text == "print('a')"
    assert source_ref("file:*.py") == Ref("file", "*.py")


def test_an_unreadable_file_is_an_error(monkeypatch):
    write("secret.txt", "secret")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "cannot read secret.txt: Permission denied" in error(SourceError, "secret.txt")


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_are_unpacked(suffix):
    text = "A fox — and a loop.\n" * 10_000
    write(f"a{suffix}", PACKERS[suffix](text.encode()))
    write(f"B{suffix.upper()}", PACKERS[suffix](text.encode()))
    assert read(f"a{suffix}").text == read(f"B{suffix.upper()}").text == text


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_truncation_and_every_flip_is_noticed_or_harmless(suffix):
    text = "A fox and a loop."
    packed = PACKERS[suffix](text.encode())
    for cut in range(1, len(packed)):
        write(f"cut{suffix}", packed[:cut])
        assert "truncated or corrupt" in error(SourceError, f"cut{suffix}")
    for place in range(len(packed)):
        flipped = bytearray(packed)
        flipped[place] ^= 0x10
        write(f"flip{suffix}", bytes(flipped))
        try:
            assert read(f"flip{suffix}").text == text  # a gzip header has bytes without meaning
        except SourceError as caught:
            assert "\n" not in str(caught)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_plain_file_with_a_packed_name_is_an_error(suffix):
    write(f"fox{suffix}", "not packed at all")
    assert "truncated or corrupt" in error(SourceError, f"fox{suffix}")


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_stopped_early(suffix, monkeypatch):
    monkeypatch.setattr("charrnn_text.archives.FREE_BYTES", 2 << 20)
    write(f"bomb{suffix}", PACKERS[suffix](b" " * (20 << 20)))
    assert "200 times" in error(SourceError, f"bomb{suffix}")
    write(f"fine{suffix}", PACKERS[suffix](b" " * (1 << 20)))
    assert len(read(f"fine{suffix}").text) == 1 << 20


def test_a_real_bomb_stays_small_in_memory():
    packer = gzip.GzipFile("bomb.gz", "wb", 9)
    with packer:
        for _ in range(512):
            packer.write(bytes(1 << 20))
    script = (
        "import resource; from pathlib import Path\n"
        "from charrnn_text.archives import read_file\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2)\n"
        "from charrnn_core.errors import SourceError\n"
        "try: print(sum(map(len, read_file(Path('bomb.gz')))))\n"
        "except SourceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "bomb.gz unpacks to more than 200 times its size" in done.stdout, done.stderr


def test_python_docs():
    corpus = python_docs(None, NoOptions(), CONTEXT)
    assert len(corpus.text) > 100_000 and "\r" not in corpus.text
    assert corpus.name == "python-docs" and corpus.licence == "PSF-2.0"
    assert corpus.origin == f"pydoc_data.topics of Python {platform.python_version()}"
    assert len(set(corpus.text.split("\n\n"))) == len(corpus.text.split("\n\n"))
    assert python_docs(None, NoOptions(), CONTEXT) == corpus


def test_python_docs_begin_with_the_longest_and_say_nothing_twice(monkeypatch):
    whole = "One and two and three.\n\nA section of its own, which stands here.\n"
    topics = {
        "b": "A section of its own, which stands here.\n",
        "a": "Two words\n\nas new as this  \n",
        "c": whole,
        "d": "A section of its own, in\nother words.\n",
    }
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", SimpleNamespace(topics=topics))
    assert python_docs(None, NoOptions(), CONTEXT).text == f"{whole}\nTwo words\n\nas new as this\n"


def test_python_docs_takes_no_argument():
    for argument in ("", "3.11"):
        with pytest.raises(SourceError, match=f"'python-docs:{argument}' has an argument"):
            python_docs(argument, NoOptions(), CONTEXT)


def test_python_docs_fall_back_to_docstrings(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    corpus = python_docs(None, NoOptions(), CONTEXT)
    assert len(corpus.text) > 100_000 and " at 0x" not in corpus.text
    assert corpus.origin.startswith("the standard library's docstrings of Python")
    monkeypatch.setattr("charrnn_text.python_docs.docstrings", lambda: iter(()))
    with pytest.raises(SourceError, match="-OO"):
        python_docs(None, NoOptions(), CONTEXT)


def test_the_docstrings_are_the_same_in_every_process():
    digest = (
        "import hashlib; from charrnn_text.python_docs import docstrings\n"
        "print(hashlib.sha256('\\n\\n'.join(docstrings()).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", digest],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and len(list(docstrings())) > 1000


def test_the_registrations_import_nothing_heavy():
    script = (
        "import sys, charrnn_text, charrnn_gutenberg\n"
        "names = [p.name for m in (charrnn_text, charrnn_gutenberg) for p in m.charrnn_sources()]\n"
        "print(*names, *{'numpy', 'jax', 'urllib3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["file", "csv", "jsonl", "text", "python-docs", "gutenberg"], (
        done.stderr
    )
