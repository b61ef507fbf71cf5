"""The source gutenberg:N from end to end: cache, mirrors, offline, and eight processes at once."""

import functools
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from charrnn_gutenberg import GutenbergOptions
from charrnn_gutenberg.client import MirrorClient
from charrnn_gutenberg.mirrors import PUBLIC_MIRRORS
from charrnn_gutenberg.source import book_number, cached_book, gutenberg
from charrnn_gutenberg.wrapper import STRIPPER_VERSION
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CharRNNError, CorpusError, SourceError, StorageError
from charrnn_core.files.atomic import sha256
from charrnn_core.text.corpus import Corpus, SourceContext
from tests.loopback import Mirror, redirect, running_mirror, short, status, text

REAL_MIRROR = Path(__file__).parents[2] / "shared" / "gutenberg"
TALE = "A Tale\n\n" + "\n".join(f"Line {n} of a fox’s tale." for n in range(60))
BOOK = (
    "A header\n\n*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***\n\nProduced by Nobody\n\n"
    f"{TALE}\n\n*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***\n\nA licence\n"
).encode()
GENERATED, CURATED = "/cache/epub/520/pg520.txt", "/5/2/520/520-0.txt"


@pytest.fixture
def mirror(monkeypatch) -> Iterator[Mirror]:
    with running_mirror() as server:
        monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", server.address)
        yield server


@pytest.fixture
def no_sockets(monkeypatch) -> None:
    def refuse(*arguments):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Reader:
    """Asks the source as the core does, and collects what it says."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.notes: list[str] = []
        self.book = cached_book(cache, 520)

    def __call__(self, argument: str | None = "520", offline: bool = False, **options) -> Corpus:
        context = SourceContext(self.cache, offline, self.notes.append)
        return gutenberg(argument, GutenbergOptions(**options), context)

    def error(self, kind: type[CharRNNError], *arguments, **options) -> str:
        with pytest.raises(kind) as caught:
            self(*arguments, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def read(tmp_path) -> Reader:
    return Reader(tmp_path / "cache")


def test_a_book_is_downloaded_once_and_described(mirror, read):
    address = mirror.serve(GENERATED, text(BOOK, ETag='"v1"', Last_Modified="yesterday"))
    corpus = read()
    assert corpus.text == TALE
    assert (corpus.name, corpus.origin) == ("gutenberg:520", address)
    assert corpus.licence == "public domain in the USA (Project Gutenberg)"
    assert read() == corpus and len(mirror.requests) == 1
    sidecar = json.loads(read.book.sidecar.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", sidecar.pop("fetched_at"))
    assert sidecar == {
        "url": address,
        "final_url": address,
        "etag": '"v1"',
        "last_modified": "yesterday",
        "bytes": len(BOOK),
        "sha256_raw": sha256(BOOK),
        "sha256_content": corpus.sha256,
        "stripper_version": STRIPPER_VERSION,
    }
    assert read.book.raw.read_bytes() == BOOK


def test_strip_false_keeps_everything(mirror, read):
    mirror.serve(GENERATED, text(BOOK.replace(b"\n", b"\r\n")))
    assert read(strip=False).text == BOOK.decode()
    assert read().text == TALE and len(mirror.requests) == 1


def test_candidates_are_asked_in_order(mirror, read):
    mirror.serve("/5/2/520/520-8.txt", text(TALE.encode("cp1252")))
    assert read().text == TALE
    assert mirror.paths() == [GENERATED, CURATED, "/5/2/520/520-8.txt"]
    assert any("found no wrapper" in note for note in read.notes)


def test_a_book_that_is_nowhere_is_one_clear_error(mirror, read):
    message = read.error(SourceError)
    assert "book 520" in message and "5/2/520/520.txt" in message and mirror.address in message
    assert len(mirror.requests) == 4
    assert not read.book.raw.exists()


def test_redirects_are_recorded(mirror, read):
    asked = mirror.serve(GENERATED, redirect("/elsewhere"))
    final = mirror.serve("/elsewhere", text(BOOK))
    assert read().origin == final
    assert json.loads(read.book.sidecar.read_text())["url"] == asked


@pytest.mark.parametrize("fault", [short(BOOK), status(403), text(b"<html>"), text(b"captcha")])
def test_nothing_bad_enters_the_cache(mirror, read, fault, monkeypatch):
    hasty = functools.partial(MirrorClient, sleep=lambda seconds: None)
    monkeypatch.setattr("charrnn_gutenberg.download.MirrorClient", hasty)
    mirror.serve(GENERATED, fault)
    mirror.serve(CURATED, text(BOOK))
    read.error(SourceError)
    assert not read.book.raw.exists() and not read.book.sidecar.exists()
    mirror.serve(GENERATED, text(BOOK))
    assert read().text == TALE


def test_mirrors_are_tried_in_order(read, monkeypatch):
    """With three public mirrors: broken, without the book, and with it."""
    monkeypatch.delenv("CHARRNN_GUTENBERG_MIRROR", raising=False)
    with running_mirror() as broken, running_mirror() as bare, running_mirror() as good:
        addresses = (broken.address, bare.address, good.address)
        monkeypatch.setattr("charrnn_gutenberg.mirrors.PUBLIC_MIRRORS", addresses)
        broken.serve(GENERATED, status(400))
        good.serve(GENERATED, text(BOOK))
        assert read().text == TALE
        assert [len(server.requests) for server in (broken, bare, good)] == [1, 4, 1]


def test_a_day_without_network_uses_up_no_books(read, monkeypatch):
    monkeypatch.delenv("CHARRNN_GUTENBERG_MIRROR", raising=False)
    monkeypatch.setattr("charrnn_gutenberg.politeness.SECONDS_BETWEEN_REQUESTS", 0)

    def fail(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    message = read.error(SourceError)
    assert all(mirror in message for mirror in PUBLIC_MIRRORS)
    assert "CHARRNN_GUTENBERG_MIRROR" in message and "--source file:" in message
    state = json.loads((read.cache / "gutenberg" / "politeness.json").read_bytes())
    assert state["books"] == 0


def damage_byte(read: Reader) -> None:
    data = bytearray(read.book.raw.read_bytes())
    data[len(data) // 2] ^= 1
    read.book.raw.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        damage_byte,
        lambda read: read.book.raw.write_bytes(b""),
        lambda read: read.book.sidecar.unlink(),
        lambda read: read.book.sidecar.write_bytes(b"{"),
        lambda read: read.book.sidecar.write_bytes(b'{"url": 1}'),
        lambda read: read.book.sidecar.write_bytes(b"\xff"),
    ],
)
def test_a_damaged_copy_is_fetched_again_or_refused_offline(mirror, read, damage):
    mirror.serve(GENERATED, text(BOOK))
    read()
    damage(read)
    assert "damaged" in read.error(SourceError, offline=True)
    assert read().text == TALE
    assert len(mirror.requests) == 2 and any("damaged" in note for note in read.notes)
    assert read(offline=True).text == TALE


def test_offline_opens_no_socket(read, no_sockets, monkeypatch):
    monkeypatch.delenv("CHARRNN_GUTENBERG_MIRROR", raising=False)
    message = read.error(SourceError, offline=True)
    assert "gutenberg:520" in message and "CHARRNN_OFFLINE" in message
    assert not read.cache.exists()
    with pytest.raises(AssertionError, match="socket"):
        read()  # the same call with the network allowed does open one


def test_offline_reads_the_cache(mirror, read, monkeypatch):
    mirror.serve(GENERATED, text(BOOK))
    read()
    monkeypatch.setattr(socket.socket, "connect", None)
    assert read(offline=True).text == TALE
    assert read(offline=True, refresh=True).text == TALE


def test_a_local_directory_needs_no_cache_and_no_socket(read, no_sockets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", "books")
    file = tmp_path / "books" / "5" / "2" / "520" / "520-0.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(BOOK)
    assert (read().text, read().origin) == (TALE, "books/5/2/520/520-0.txt")
    assert read(offline=True).text == TALE
    assert not read.cache.exists()
    message = read.error(SourceError, "521")
    assert "521" in message and "5/2/521/521.txt" in message


def test_a_mirror_that_is_neither_is_refused(read, monkeypatch):
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", "file:///srv/gutenberg")
    assert "'file:///srv/gutenberg'" in read.error(SourceError)


def test_refresh_asks_whether_it_changed(mirror, read):
    mirror.serve(GENERATED, text(BOOK, ETag='"v1"', Last_Modified="yesterday"), status(304))
    read()
    assert read(refresh=True).text == TALE
    asked = mirror.requests[1][1]
    assert (asked["If-None-Match"], asked["If-Modified-Since"]) == ('"v1"', "yesterday")
    newer = BOOK.replace(b"fox", b"dog")
    mirror.serve(GENERATED, text(newer, ETag='"v2"'))
    assert read(refresh=True).text == TALE.replace("fox", "dog")
    assert read().text == TALE.replace("fox", "dog") and len(mirror.requests) == 3


def test_an_etag_is_not_sent_to_another_address(mirror, read):
    mirror.serve(CURATED, text(BOOK, ETag='"v1"'))
    read()
    mirror.requests.clear()
    read(refresh=True)
    assert [headers["If-None-Match"] for _, headers in mirror.requests] == [None, '"v1"']


def test_a_failed_refresh_keeps_the_cached_copy(mirror, read):
    mirror.serve(GENERATED, text(BOOK), status(400))
    read()
    read.error(SourceError, refresh=True)
    assert read().text == TALE


def test_an_empty_book_is_an_error(mirror, read):
    mirror.serve(GENERATED, text(b" \n\n"))
    assert "is empty" in read.error(CorpusError)


def test_a_cache_that_cannot_be_made_is_an_error(mirror, tmp_path):
    (tmp_path / "file").write_text("in the way")
    Reader(tmp_path / "file" / "cache").error(StorageError)
    assert mirror.requests == []


EIGHTH = """
import sys
from pathlib import Path
from charrnn_gutenberg import GutenbergOptions
from charrnn_gutenberg.source import gutenberg
from charrnn_core.text.corpus import SourceContext
sys.stdin.readline()
print(gutenberg("520", GutenbergOptions(), SourceContext(Path(sys.argv[1]))).sha256)
"""


def test_eight_processes_make_one_download(mirror, read):
    mirror.serve(GENERATED, text(BOOK))
    command = [sys.executable, "-W", "error", "-c", EIGHTH, str(read.cache)]
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(8)
    ]
    for child in children:  # imports take longer than downloads: let all begin together
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    results = [child.communicate(timeout=60) for child in children]
    assert results == [(f"{read().sha256}\n", "")] * 8
    assert mirror.paths() == [GENERATED]


@pytest.mark.parametrize(
    "argument",
    [None, "", "abc", "../x", "0", "0520", "-1", "+1", " 520", "520 ", "520\n", "52.0", "1e3"]
    + ["12345678", "５２０", "٥٢٠", "520\0", "%2e%2e", "CON", "file:///etc/passwd", "520/../1"],
)
def test_malformed_numbers_are_refused(read, no_sockets, argument):
    message = read.error(SourceError, argument)
    shown = "gutenberg" if argument is None else f"gutenberg:{argument}"
    assert repr(shown) in message and "expected gutenberg:N" in message
    assert not read.cache.exists()


@given(st.one_of(st.text(), st.from_regex(r"[0-9./\\%:]{1,12}"), st.integers().map(str)))
def test_every_argument_is_a_number_in_the_cache_or_refused(argument):
    try:
        number = book_number(argument)
    except SourceError as error:
        assert "\n" not in str(error)
        return
    assert re.fullmatch("[1-9][0-9]{0,6}", argument, re.ASCII) and number == int(argument)
    cache = Path("/cache")
    for path in (cached_book(cache, number).raw, cached_book(cache, number).sidecar):
        assert path.resolve().parent == cache.resolve() / "gutenberg"
        assert re.fullmatch(r"[0-9a-f]{32}\.(raw|json)", path.name)


@pytest.mark.skipif(not REAL_MIRROR.is_dir(), reason="the shared mirror of one book is not here")
def test_the_real_book(read, no_sockets, monkeypatch):
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", str(REAL_MIRROR))
    corpus = read()
    assert corpus.text.startswith("The Life and Adventures of Santa Claus\n")
    assert corpus.text.endswith("would be happy.")
    assert "gutenberg" not in corpus.text.lower()
    assert (len(corpus.text), len(set(corpus.text))) == (164_825, 73)
    assert "Project Gutenberg" in read(strip=False).text and read.notes == []


def test_what_was_not_cut_is_told(mirror, read):
    mirror.serve(GENERATED, text(f"{TALE}\n\nEnd of Project Gutenberg's A Tale\n\n{TALE}".encode()))
    assert read().text.endswith(f"A Tale\n\n{TALE}")
    [note] = [note for note in read.notes if note.startswith("note:")]
    assert "gutenberg:520: found no wrapper of Project Gutenberg to cut" in note
    assert 'left in line 64 "End of Project Gutenberg\'s A Tale"' in note
