"""The HTTP client of a mirror: rate-limited, and redirected only within Project Gutenberg."""

from typing import Any

from charrnn_core.addresses import is_loopback
from charrnn_core.download import Client, DownloadError, is_web_page
from charrnn_core.errors import SourceError
from charrnn_gutenberg.mirrors import VARIABLE, redirect_refusal
from charrnn_gutenberg.politeness import Pace

_OTHER_WAYS = (
    f"set {VARIABLE} to another mirror or a local one, or download the book by hand and use "
    "--source file:PATH"
)


class MirrorClient(Client):
    """A connection to one mirror.

    Arguments:
        mirror: the mirror's address.
        pace: limits the rate of the requests that leave this machine.
        settings: passed to `Client`.
    """

    def __init__(self, mirror: str, pace: Pace, **settings: Any) -> None:
        super().__init__(**settings)
        self._mirror = mirror
        self._pace = pace

    def before_request(self, url: str) -> None:
        if not is_loopback(url):
            self._pace.wait()

    def check_status(self, url: str, status: int) -> None:
        if status == 403:  # another request to any mirror would make it worse
            raise SourceError(
                f"{url} refuses the request (HTTP 403): Project Gutenberg blocks addresses that "
                "send too many requests and those of some countries, VPNs and hosting services; do "
                f"not try again today: {_OTHER_WAYS}"
            )

    def check_page(self, url: str, content_type: str, body: bytes) -> None:
        """Refuse a web page sent in place of a book with status 200."""
        is_page = is_web_page(content_type, body)
        if b"captcha" in (body if is_page else body[:4096]).lower():
            raise SourceError(f"{url} asks for a captcha, which blocks robots; {_OTHER_WAYS}")
        if is_page:
            raise DownloadError(f"{url} returns a web page, not the text of a book")

    def redirect_refusal(self, url: str, target: str) -> str | None:
        return redirect_refusal(url, target, self._mirror)
