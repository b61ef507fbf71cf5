"""An HTTP client that trusts no server: it limits time, size, retries and redirects.

A source that downloads subclasses `Client` and overrides three methods to check more;
`charrnn_core.downloaded` caches the answers.
"""

import importlib.metadata
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InvalidHeader, SSLError

from charrnn_core.errors import SourceError

_REDIRECTS = (301, 302, 303, 307, 308)
_ABSENT = (404, 410)
_TRANSIENT = (429, 500, 502, 503, 504)
_CHUNK = 1 << 14  # also bounds how much of a compressed body is unpacked between two checks


class DownloadError(SourceError):
    """One address gives no usable answer; another may."""


class UnreachableError(DownloadError):
    """No connection to the server, which has not seen a request."""


@dataclass(frozen=True)
class Limits:
    """Limits of a download: seconds, tries, redirects and bytes.

    `total` runs from the first try of one address to the end of its body, waits included.
    """

    connect: float = 10.0
    read: float = 30.0
    total: float = 300.0
    tries: int = 3
    backoff: float = 1.0
    longest_wait: float = 60.0
    redirects: int = 5
    size: int = 64 << 20


@dataclass(frozen=True)
class Answer:
    """A complete answer: status 200 with its body, 304, or 404."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


class _TransientError(Exception):
    """A failure that a retry may fix, and how many seconds the server asks to wait."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Client:
    """A connection to one server.

    Arguments:
        limits: the limits of a download.
        clock, sleep: the monotonic time in seconds, and a function that waits.
    """

    def __init__(
        self,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1)
        version = importlib.metadata.version("charrnn")
        self._headers = {
            "User-Agent": f"charrnn/{version} (+https://pypi.org/project/charrnn/)",
            "Accept-Encoding": "gzip",
        }

    def before_request(self, url: str) -> None:
        """Wait, if politeness demands it; called before each request."""

    def check_status(self, url: str, status: int) -> None:
        """Raise a `SourceError` for a status after which nothing more should be requested."""

    def check_page(self, url: str, content_type: str, body: bytes) -> None:
        """Raise a `SourceError` for a body that is not what was requested."""

    def redirect_refusal(self, url: str, target: str) -> str | None:
        """Return why a redirect to `target` must not be followed; None if it may be."""
        raise NotImplementedError

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.clear()

    def get(self, address: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Request an address; retry if the answer is cut short or the server is busy.

        Arguments:
            address: the address.
            headers: additional request headers, such as those of a conditional request.

        Raises:
            DownloadError: there is no usable answer, or (UnreachableError) no connection.
            SourceError: raised by the three methods.
        """
        deadline = self._clock() + self._limits.total
        for attempt in range(1, self._limits.tries + 1):
            try:
                return self._follow(address, headers or {}, deadline)
            except _TransientError as fault:
                wait = max(fault.wait, self._limits.backoff * 2 ** (attempt - 1))
                if fault.wait > self._limits.longest_wait:
                    reason = f"{fault} and asks to wait {fault.wait:.0f} s"
                elif attempt == self._limits.tries or self._clock() + wait > deadline:
                    reason = f"{fault} ({attempt} tries)"
                else:
                    self._sleep(wait)
                    continue
                raise DownloadError(f"{address} {reason}") from fault
        raise AssertionError("unreachable: the last try returns or raises")

    def _follow(self, address: str, headers: Mapping[str, str], deadline: float) -> Answer:
        url = address
        for _ in range(self._limits.redirects + 1):
            answer = self._request(url, headers, deadline)
            if answer.status not in _REDIRECTS:
                return answer
            target = urljoin(url, answer.headers.get("location", ""))
            if refusal := self.redirect_refusal(url, target):
                raise DownloadError(f"{url} redirects, and {refusal}")
            url = target
        raise DownloadError(f"{address} redirects more than {self._limits.redirects} times")

    def _request(self, url: str, headers: Mapping[str, str], deadline: float) -> Answer:
        self.before_request(url)
        try:
            response = self._pool.request(
                "GET",
                url,
                headers={**self._headers, **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(
                    connect=self._limits.connect,
                    read=min(self._limits.read, self._seconds_left(url, deadline)),
                ),
            )
        except (ConnectTimeoutError, SSLError) as error:  # an immediate retry would not help
            raise UnreachableError(f"{url} cannot be reached ({_reason(error)})") from error
        except HTTPError as error:
            raise _TransientError(f"gave no answer ({_reason(error)})") from error
        try:
            self._check_status(url, response)
            body = self._body(url, response, deadline) if response.status == 200 else b""
        finally:
            response.close()
            response.release_conn()
        if response.status == 200:
            self.check_page(url, response.headers.get("content-type", ""), body)
        status = 404 if response.status in _ABSENT else response.status
        return Answer(status, url, response.headers, body)

    def _check_status(self, url: str, response: urllib3.BaseHTTPResponse) -> None:
        self.check_status(url, response.status)
        if response.status in _TRANSIENT:
            raise _TransientError(f"answers HTTP {response.status}", _retry_after(response))
        if response.status not in (200, 304, *_ABSENT, *_REDIRECTS):
            raise DownloadError(f"{url} answers HTTP {response.status}")

    def _body(self, url: str, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """Read the whole body, unpacked; never return a part of it."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip"):
            raise DownloadError(f"{url} is encoded as {coding!r}; expected plain bytes or gzip")
        unpack = None if coding == "identity" else zlib.decompressobj(wbits=31)
        body = bytearray()
        try:
            # read1 returns what has arrived, so that a trickle cannot evade the time limit.
            while chunk := response.read1(_CHUNK, decode_content=False):
                self._seconds_left(url, deadline)
                room = self._limits.size - len(body) + 1
                body += unpack.decompress(chunk, room) if unpack else chunk
                if len(body) > self._limits.size:
                    raise DownloadError(f"{url} is longer than {self._limits.size} bytes")
        except (HTTPError, zlib.error) as error:
            raise _TransientError(f"was cut short ({_reason(error)})") from error
        if not body or (unpack and not unpack.eof):
            raise _TransientError("was cut short (the body ends early)")
        return bytes(body)

    def _seconds_left(self, url: str, deadline: float) -> float:
        left = deadline - self._clock()
        if left <= 0:
            raise DownloadError(f"{url} takes longer than {self._limits.total:g} s")
        return left


def is_web_page(content_type: str, body: bytes) -> bool:
    """Return whether an answer is HTML, by its content type or its beginning.

    >>> is_web_page("text/plain", b" <!DOCTYPE html><title>Welcome</title>")
    True
    """
    start = body[:4096].lower().removeprefix(b"\xef\xbb\xbf").lstrip()
    return "html" in content_type.lower() or start.startswith((b"<!doctype html", b"<html"))


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    value = response.headers.get("retry-after")
    try:
        return urllib3.Retry().parse_retry_after(value) if value else 0.0
    except (InvalidHeader, ValueError, OverflowError):  # neither a number nor a date
        return 0.0


def _reason(error: BaseException) -> str:
    """Return the system's own message if there is one; urllib3's shows its internal objects."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(error).split()) or type(error).__name__
