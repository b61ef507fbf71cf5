"""The sources https://... and http://..., against a real server on 127.0.0.1 that misbehaves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from charrnn_web import WebOptions
from charrnn_web.client import WebClient
from charrnn_web.source import decode, http, https

from charrnn_core.addresses import is_public
from charrnn_core.console.program import command
from charrnn_core.download import Limits
from charrnn_core.downloaded import Found
from charrnn_core.errors import CharRNNError, CorpusError, SourceError
from charrnn_core.registry.spec import source_ref
from charrnn_core.testing import check
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_core.text.load import read_corpus
from tests.loopback import Mirror, drip, redirect, running_mirror, short, status, text

TALE = "A fox’s tale.\n" * 30


@pytest.fixture
def server() -> Iterator[Mirror]:
    with running_mirror() as running:
        yield running


class Reader:
    """Asks the source as the core does, and collects what it says."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.notes: list[str] = []

    def __call__(self, address: str, offline: bool = False, **options) -> Corpus:
        scheme, argument = address.split(":", 1)
        context = SourceContext(self.cache, offline, self.notes.append)
        return {"http": http, "https": https}[scheme](argument, WebOptions(**options), context)

    def error(self, kind: type[CharRNNError], *arguments, **options) -> str:
        with pytest.raises(kind) as caught:
            self(*arguments, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def read(tmp_path) -> Reader:
    return Reader(tmp_path / "cache")


@pytest.fixture
def hasty(monkeypatch) -> None:
    """Tries that follow each other at once."""
    init = WebClient.__init__
    monkeypatch.setattr(WebClient, "__init__", lambda self: init(self, sleep=lambda seconds: None))


def test_an_address_alone_is_a_source(server, monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    address = server.serve("/tale.txt", text(TALE.encode()))
    assert source_ref(address).use == "http"
    assert source_ref("https://example.org/tale.txt").argument == "//example.org/tale.txt"
    assert read_corpus(address, note=lambda line: None).text == TALE


def test_a_text_is_downloaded_once(server, read):
    address = server.serve("/tale.txt?part=1", text(TALE.replace("\n", "\r\n").encode()))
    corpus = read(f"{address}#end")
    assert (corpus.text, corpus.name, corpus.origin) == (TALE, address, address)
    assert read(address) == corpus == read(address, offline=True)
    assert server.paths() == ["/tale.txt?part=1"] and read.notes == [f"asking {address}"]


def test_refresh_asks_whether_it_changed(server, read):
    address = server.serve("/tale.txt", text(TALE.encode(), ETag='"v1"'), status(304), text(b"fox"))
    read(address)
    assert read(address, refresh=True).text == TALE
    assert server.requests[1][1]["If-None-Match"] == '"v1"'
    assert read(address, refresh=True).text == "fox" == read(address).text


def test_offline_asks_nobody(server, read):
    address = server.serve("/tale.txt", text(TALE.encode()))
    message = read.error(SourceError, address, offline=True)
    assert address in message and "CHARRNN_OFFLINE" in message and "file:PATH" in message
    assert server.requests == [] and not read.cache.exists()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(404), "not found (HTTP 404)"),
        (status(403), "HTTP 403"),
        (status(500), "HTTP 500"),
        (short(TALE.encode()), "cut short"),
        (text(b"<!doctype html><p>A fox</p>"), "web page"),
        (status(200, b"<p>A fox</p>", Content_Type="text/html"), "web page"),
        (status(200, b"\x89PNG", Content_Type="image/png"), "'image/png'"),
        (text(b"%PDF-1.7"), "not plain text"),
        (redirect("/again"), "more than 5"),
        (redirect("ftp://example.org/"), "not lead to an http(s) address"),
        (redirect("http://10.0.0.1/"), "10.0.0.1, which is not on the public internet"),
        (redirect("http://2130706433:1/"), "not on the public internet"),
        (redirect("http://[::1]/"), "not on the public internet"),
        (redirect("http://u:p@example.org/"), "not lead to an http(s) address"),
    ],
)
def test_what_cannot_be_had_says_how_else(server, read, hasty, reply, said):
    address = server.serve("/again", redirect("/again")).replace("/again", "/tale.txt")
    server.serve("/tale.txt", reply)
    message = read.error(SourceError, address)
    assert said in message and f"curl -L {address} | {command('run', '--source', '-')}" in message
    assert not list(read.cache.rglob("*.raw"))
    server.serve("/tale.txt", text(TALE.encode()))
    assert read(address).text == TALE


def test_a_redirect_within_the_host_is_followed(server, read):
    final = server.serve("/new.txt", text(TALE.encode()))
    corpus = read(server.serve("/old.txt", redirect("/new.txt")))
    assert (corpus.text, corpus.origin) == (TALE, final)


def test_another_port_of_this_machine_is_not(server, read):
    with running_mirror() as other:
        target = other.serve("/secret", text(TALE.encode()))
        read.error(SourceError, server.serve("/tale.txt", redirect(target)))
        assert other.requests == []


def test_the_size_is_limited(server):
    with WebClient(limits=Limits(size=5000)) as client, pytest.raises(SourceError, match="longer"):
        client.get(server.serve("/endless", drip(b"la" * 500, 0.0, 10**6)))


@pytest.mark.parametrize(
    "address",
    ["https:", "https:x", "https:/x/y", "https://", "https://[::1", "http:///x", "https:\0"],
)
def test_what_is_no_address_is_refused(read, address):
    assert "is not a web address" in read.error(SourceError, address)


def test_a_password_is_not_kept(read):
    message = read.error(SourceError, "https://me:secret@example.org/tale.txt")
    assert "curl" in message and "secret" not in message


def test_addresses_of_private_networks_are_not_public():
    for host in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "[::1]", "169.254.1.1", "0x7f.1", "0"):
        assert not is_public(host), host
    assert is_public("8.8.8.8") and is_public("no-such-host.invalid")


@pytest.mark.parametrize(
    ("data", "content_type", "encoding", "expected"),
    [
        ("é—\r\n".encode(), "text/plain", "", "é—\n"),
        ("é".encode("utf-8-sig"), "", "", "é"),
        ("é".encode(), "text/plain; charset=iso-8859-1", "", "é"),
        ("é".encode("latin1"), "text/plain; charset=ISO-8859-1", "", "é"),
        ("é".encode("cp437"), "text/plain; charset=ISO-8859-1", "cp437", "é"),
        ("é".encode("utf-16"), "text/plain", "utf-16", "é"),
    ],
)
def test_encodings(data, content_type, encoding, expected):
    found = Found(data, {"content_type": content_type})
    assert decode(found, encoding, "a test") == expected


@pytest.mark.parametrize("data", [b"caf\xe9", b"\0\1\2", "é".encode("utf-16")])
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=klingon"])
def test_bytes_that_are_no_text_ask_for_an_encoding(data, content_type):
    with pytest.raises(CorpusError, match="--source-opt encoding=") as caught:
        decode(Found(data, {"content_type": content_type}), "", "a test")
    assert "\n" not in str(caught.value)


def test_the_kit(server, monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    outcomes = list(check("source", server.serve("/tale.txt", text(TALE.encode()))))
    assert [outcome for outcome in outcomes if not outcome.good] == []


def test_the_command_line_says_how_else(server, tmp_path):
    address = server.serve("/tale.txt", text(b"<html>"))
    done = subprocess.run(
        [sys.executable, "-m", "charrnn_core", "run", "--source", address],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"curl -L {address} | " in done.stderr and "charrnn run --source -" in done.stderr
