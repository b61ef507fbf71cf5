"""The HTTP client against a real server on 127.0.0.1 that misbehaves."""

import gzip
import json
import socket
from collections.abc import Iterator

import pytest
from charrnn_gutenberg.client import MirrorClient
from charrnn_gutenberg.mirrors import candidates, mirrors, redirect_refusal
from charrnn_gutenberg.politeness import Pace

from charrnn_core.addresses import is_loopback
from charrnn_core.download import DownloadError, Limits, UnreachableError
from charrnn_core.errors import SourceError
from tests.loopback import (
    Mirror,
    cut_chunks,
    drip,
    raw,
    redirect,
    running_mirror,
    short,
    status,
    text,
)

BODY = b"Once upon a time a loop ran home.\n" * 30


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with running_mirror() as server:
        yield server


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def client(mirror, naps, tmp_path) -> Iterator[MirrorClient]:
    with MirrorClient(mirror.address, Pace(tmp_path), sleep=naps.append) as client:
        yield client


@pytest.fixture
def no_names(monkeypatch) -> None:
    """No host name resolves, as on a machine without a network."""

    def fail(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


def limited(mirror, tmp_path, **limits) -> MirrorClient:
    return MirrorClient(
        mirror.address, Pace(tmp_path), limits=Limits(**limits), sleep=lambda seconds: None
    )


def refused(call, kind: type[Exception] = DownloadError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_complete_body_comes_with_its_headers_and_a_polite_request(mirror, client):
    answer = client.get(mirror.serve("/book", text(BODY, ETag='"v1"')))
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, BODY, '"v1"')
    sent = mirror.requests[0][1]
    assert sent["User-Agent"].startswith("charrnn/")
    assert sent["User-Agent"].endswith(" (+https://pypi.org/project/charrnn/)")


def test_a_missing_page_is_an_answer_not_an_error(mirror, client, naps):
    assert client.get(f"{mirror.address}/nothing").status == 404
    assert client.get(mirror.serve("/gone", status(410))).status == 404
    assert naps == []


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "fault",
    [
        short(BODY),
        short(BODY, reset=True),
        short(b""),
        cut_chunks(BODY, inside=True),
        cut_chunks(BODY, inside=False),
        raw(b""),
        raw(b"", reset=True),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le", reset=True),
        text(b""),
        text(gzip.compress(BODY)[:-9], Content_Encoding="gzip"),
        text(b"no gzip at all", Content_Encoding="gzip"),
        status(429),
        status(500),
        status(503),
    ],
)
def test_a_cut_or_busy_answer_is_asked_for_again(mirror, client, naps, fault):
    assert client.get(mirror.serve("/book", fault, fault, text(BODY))).body == BODY
    assert len(mirror.requests) == 3
    assert naps == [1.0, 2.0]


def test_three_tries_are_all(mirror, client, naps):
    message = refused(lambda: client.get(mirror.serve("/book", short(BODY))))
    assert "cut short" in message and "3 tries" in message
    assert len(mirror.requests) == 3


def test_a_complete_chunked_body_and_a_gzip_body_are_read_whole(mirror, client):
    assert client.get(mirror.serve("/chunks", raw(CHUNKS % (len(BODY), BODY)))).body == BODY
    packed = text(gzip.compress(BODY), Content_Encoding="gzip")
    assert client.get(mirror.serve("/gzip", packed)).body == BODY


def test_an_unknown_content_encoding_is_refused(mirror, client):
    answer = text(BODY, Content_Encoding="br")
    assert "'br'" in refused(lambda: client.get(mirror.serve("/book", answer)))


@pytest.mark.parametrize(
    ("value", "nap"), [("7", 7.0), ("0", 1.0), ("soon", 1.0), ("Mon, 01 Jan 2001 00:00:00 GMT", 1)]
)
def test_retry_after_is_honoured(mirror, client, naps, value, nap):
    busy = status(429, Retry_After=value)
    assert client.get(mirror.serve("/book", busy, text(BODY))).body == BODY
    assert naps == [nap]


def test_retry_after_is_bounded(mirror, client, naps):
    busy = status(429, Retry_After="86400")
    assert "wait" in refused(lambda: client.get(mirror.serve("/book", busy)))
    assert naps == [] and len(mirror.requests) == 1


def test_403_stops_at_once_and_explains(mirror, client, naps):
    message = refused(lambda: client.get(mirror.serve("/book", status(403))), SourceError)
    assert "403" in message and "blocks" in message and "CHARRNN_GUTENBERG_MIRROR" in message
    assert naps == [] and len(mirror.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        status(200, b"<p>hello</p>", Content_Type="text/html; charset=utf-8"),
        text(b"\xef\xbb\xbf \n<!DOCTYPE html><title>Welcome</title>"),
        text(b"<HTML><body>Welcome</body>"),
    ],
)
def test_a_web_page_is_no_book(mirror, client, answer):
    assert "web page" in refused(lambda: client.get(mirror.serve("/book", answer)))
    assert len(mirror.requests) == 1


@pytest.mark.parametrize(
    "page", [b"Please solve the CAPTCHA", b"<html>" + b" " * 9000 + b"captcha"]
)
def test_a_captcha_stops_at_once(mirror, client, page):
    message = refused(lambda: client.get(mirror.serve("/book", text(page))), SourceError)
    assert "captcha" in message and len(mirror.requests) == 1


def test_a_book_may_speak_of_captchas_later_on(mirror, client):
    body = BODY * 10 + b"captcha"
    assert client.get(mirror.serve("/book", text(body))).body == body


def test_the_size_limit_holds_while_streaming(mirror, tmp_path):
    endless = drip(b"la" * 5000, 0.0, 10**6)
    bomb = text(gzip.compress(bytes(10**7)), Content_Encoding="gzip")
    with limited(mirror, tmp_path, size=50_000) as client:
        assert "longer than 50000" in refused(lambda: client.get(mirror.serve("/e", endless)))
        assert "longer than 50000" in refused(lambda: client.get(mirror.serve("/b", bomb)))
        exactly = BODY * 1000
        assert client.get(mirror.serve("/ok", text(exactly[:50_000]))).body == exactly[:50_000]
        assert "longer" in refused(lambda: client.get(mirror.serve("/1", text(exactly[:50_001]))))


def test_a_trickle_ends_at_the_total_limit(mirror, tmp_path):
    address = mirror.serve("/book", drip(b"x", 0.02, 10**9))  # it ends if the client ends it
    with limited(mirror, tmp_path, total=0.4) as client:
        assert "longer than 0.4 s" in refused(lambda: client.get(address))
    assert len(mirror.requests) == 1


def test_silence_ends_at_the_read_limit(mirror, tmp_path):
    address = mirror.serve("/book", drip(b"x", 1.0, 2))
    with limited(mirror, tmp_path, read=0.1, tries=1) as client:
        assert "cut short" in refused(lambda: client.get(address))


def test_redirects_within_the_mirror_are_followed_five_times(mirror, client):
    for hop in range(6):
        mirror.serve(f"/{hop}", redirect(f"/{hop + 1}"))
    mirror.serve("/6", text(BODY))
    assert client.get(f"{mirror.address}/1").url == f"{mirror.address}/6"
    assert "more than 5" in refused(lambda: client.get(f"{mirror.address}/0"))


def test_a_redirect_loop_ends(mirror, client):
    address = mirror.serve("/loop", redirect("/loop"))
    assert "more than 5" in refused(lambda: client.get(address))
    assert len(mirror.requests) == 6


@pytest.mark.parametrize("place", ["http://localhost:{port}/x", "//127.0.0.2/x", "file:///etc/x"])
def test_a_redirect_leads_nowhere_else(mirror, client, place):
    target = place.format(port=mirror.server_address[1])
    assert "redirects" in refused(lambda: client.get(mirror.serve("/book", redirect(target))))
    assert mirror.paths() == ["/book"]


def test_a_redirect_to_another_port_of_the_same_host_is_refused(mirror, client):
    with running_mirror() as other:
        target = other.serve("/secret", text(BODY))
        refused(lambda: client.get(mirror.serve("/book", redirect(target))))
        assert other.requests == []


HTTPS, LOCAL = "https://gutenberg.pglaf.org", "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("mirror", "target", "allowed"),
    [
        (HTTPS, "https://www.gutenberg.org/ebooks/1", True),
        (HTTPS, "https://gutenberg.org/ebooks/1", True),
        (HTTPS, "https://WWW.Gutenberg.ORG:443/", True),
        (LOCAL, "http://127.0.0.1:8000/other", True),
        ("https://mirror.example", "https://mirror.example:443/other", True),
        (HTTPS, "http://www.gutenberg.org/ebooks/1", False),
        (HTTPS, "https://www.gutenberg.org:8443/", False),
        (HTTPS, "https://evilgutenberg.org/", False),
        (HTTPS, "https://gutenberg.org.evil.example/", False),
        (HTTPS, "https://www.gutenberg.org@evil.example/", False),
        (HTTPS, "https://user@www.gutenberg.org/", False),
        (HTTPS, "https://evil.example\\@www.gutenberg.org/", False),
        (HTTPS, "https://evil.example#@www.gutenberg.org/", False),
        (HTTPS, "https://127.0.0.1/", False),
        (HTTPS, "https://10.0.0.1/", False),
        (HTTPS, "https://[::1]/", False),
        (HTTPS, "https://2130706433/", False),
        (HTTPS, "ftp://www.gutenberg.org/", False),
        (HTTPS, "https://", False),
        (HTTPS, "https://[::1", False),
        (LOCAL, "http://127.0.0.1:8001/", False),
        (LOCAL, "http://127.0.0.1/", False),
    ],
)
def test_redirect_rules(mirror, target, allowed):
    assert (redirect_refusal(f"{mirror}/book", target, mirror) is None) == allowed


def test_nobody_listening_is_told_at_once(mirror, naps, tmp_path):
    with running_mirror() as gone:
        address = gone.address
    with MirrorClient(address, Pace(tmp_path), sleep=naps.append) as client:
        message = refused(lambda: client.get(f"{address}/book"), UnreachableError)
    assert "refused" in message.lower() and naps == []


def test_an_unknown_host_is_told_at_once(naps, tmp_path, no_names):
    pace = Pace(tmp_path, sleep=naps.append)
    with MirrorClient("https://mirror.invalid", pace, sleep=naps.append) as client:
        message = refused(lambda: client.get("https://mirror.invalid/book"), UnreachableError)
    assert "mirror.invalid/book cannot be reached" in message and naps == []


def test_candidates_cover_the_layout_of_mirrors():
    assert candidates(520) == (
        "cache/epub/520/pg520.txt",
        "5/2/520/520-0.txt",
        "5/2/520/520-8.txt",
        "5/2/520/520.txt",
    )
    assert candidates(7)[1] == "0/7/7-0.txt" and candidates(10)[1] == "1/10/10-0.txt"


def test_the_mirror_variable(tmp_path):
    name = "CHARRNN_GUTENBERG_MIRROR"
    assert [address.split("/")[2] for address in mirrors({})] == [
        "gutenberg.pglaf.org",
        "aleph.pglaf.org",
        "www.gutenberg.org",
    ]
    assert mirrors({name: str(tmp_path)}) == tmp_path
    for wrong in ("file:///srv", "ftp://x", "http://", "http://[::1", "no/such", "http://u:p@h/"):
        assert repr(wrong) in refused(lambda w=wrong: mirrors({name: w}), SourceError)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8:81", True), ("[::1]:80", True), ("localhost", True)]
    + [("10.0.0.1", False), ("localhost.example", False), ("127.0.0.1.example", False)],
)
def test_loopback(host, expected):
    assert is_loopback(f"http://{host}/x") == expected


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def test_requests_keep_two_seconds_apart_also_between_processes(tmp_path):
    clock = Time()
    paces = [Pace(tmp_path, clock, clock.sleep) for _ in range(2)]  # as two processes would
    paces[0].wait()
    clock.now += 0.5
    paces[1].wait()
    clock.now += 5
    paces[0].wait()
    paces[1].wait()
    assert clock.naps == [1.5, 2.0]


def test_a_clock_that_was_set_back_costs_two_seconds_at_most(tmp_path):
    clock = Time()
    pace = Pace(tmp_path, clock, clock.sleep)
    pace.wait()
    clock.now -= 10**6
    pace.wait()
    assert clock.naps == [2.0]


def test_a_hundred_books_a_day(tmp_path):
    clock = Time()
    for _ in range(100):
        Pace(tmp_path, clock).count_book(1)
    message = refused(lambda: Pace(tmp_path, clock).count_book(520), SourceError)
    assert "gutenberg:520" in message and "100" in message and "rsync" in message
    Pace(tmp_path, clock).uncount_book()
    Pace(tmp_path, clock).count_book(1)
    clock.now += 86400
    Pace(tmp_path, clock).count_book(520)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"last": 1}', b'{"books": 1e999}'])
def test_a_damaged_pace_file_is_begun_anew(tmp_path, damage):
    (tmp_path / "politeness.json").write_bytes(damage)
    clock = Time()
    pace = Pace(tmp_path, clock, clock.sleep)
    pace.wait()
    pace.count_book(1)
    assert clock.naps == []
    assert json.loads((tmp_path / "politeness.json").read_bytes())["books"] == 1


def test_only_requests_that_leave_this_machine_are_paced(mirror, tmp_path, monkeypatch):
    clock = Time()
    address = mirror.serve("/book", text(BODY))
    with MirrorClient(mirror.address, Pace(tmp_path, clock, clock.sleep)) as client:
        for _ in range(3):
            client.get(address)
        assert clock.naps == []
        monkeypatch.setattr("charrnn_gutenberg.client.is_loopback", lambda url: False)
        for _ in range(3):
            client.get(address)
    assert clock.naps == [2.0, 2.0]
