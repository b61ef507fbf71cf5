"""The HTTP client of a mirror: polite, and led nowhere but to Project Gutenberg."""

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
    """One connection to one mirror.

    Arguments:
        mirror: the mirror's address.
        pace: spaces out the requests that leave this machine.
        settings: what `Client` takes.
    """

    def __init__(self, mirror: str, pace: Pace, **settings: Any) -> None:
        super().__init__(**settings)
        self._mirror = mirror
        self._pace = pace

    def before_request(self, url: str) -> None:
        if not is_loopback(url):
            self._pace.wait()

    def check_status(self, url: str, status: int) -> None:
        if status == 403:  # asking anybody again would make it worse
            raise SourceError(
                f"{url} refuses the request (HTTP 403): Project Gutenberg blocks addresses that "
                "ask too often and those of some countries, VPNs and hosting services; ask no more "
                f"today: {_OTHER_WAYS}"
            )

    def check_page(self, url: str, content_type: str, body: bytes) -> None:
        """Refuse a web page that is sent in place of a book, with status 200."""
        is_page = is_web_page(content_type, body)
        if b"captcha" in (body if is_page else body[:4096]).lower():
            raise SourceError(f"{url} asks for a captcha, which blocks robots; {_OTHER_WAYS}")
        if is_page:
            raise DownloadError(f"{url} gives a web page, not the text of a book")

    def redirect_refusal(self, url: str, target: str) -> str | None:
        return redirect_refusal(url, target, self._mirror)
