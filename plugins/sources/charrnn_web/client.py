"""The HTTP client of a text: redirected only within the public internet, accepts only text."""

from urllib3.util import parse_url

from charrnn_core.addresses import is_public, port_of, unsafe_redirect
from charrnn_core.download import Client, DownloadError, is_web_page

_NO_TEXT = ("image/", "audio/", "video/", "font/", "application/pdf", "application/zip")


class WebClient(Client):
    """A connection to the server that a user has named."""

    def check_page(self, url: str, content_type: str, body: bytes) -> None:
        if is_web_page(content_type, body):
            raise DownloadError(f"{url} returns a web page, not plain text")
        if content_type.strip().lower().startswith(_NO_TEXT) or body.startswith(b"%PDF-"):
            raise DownloadError(f"{url} returns {content_type!r}, not plain text")

    def redirect_refusal(self, url: str, target: str) -> str | None:
        """Refuse a redirect to this machine or a private network, unless the user named that host.

        >>> WebClient().redirect_refusal("https://8.8.8.8/a", "https://10.0.0.1/a")
        'it leads to 10.0.0.1, which is not on the public internet'
        """
        if refusal := unsafe_redirect(url, target):
            return refusal
        old, new = parse_url(url), parse_url(target)
        if (old.host, port_of(old)) == (new.host, port_of(new)) or is_public(new.host or ""):
            return None
        return f"it leads to {new.host}, which is not on the public internet"
