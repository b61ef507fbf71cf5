"""Where a book lies: the mirrors of Project Gutenberg and their layout."""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from charrnn_core.errors import SourceError

VARIABLE = "CHARRNN_GUTENBERG_MIRROR"
PUBLIC_MIRRORS = (
    "https://gutenberg.pglaf.org",
    "https://aleph.pglaf.org",
    "https://www.gutenberg.org",
)
_PUBLIC_DOMAINS = ("gutenberg.org", "pglaf.org")
_PORTS = {"http": 80, "https": 443}


def mirrors(environ: Mapping[str, str] = os.environ) -> tuple[str, ...] | Path:
    """The addresses to ask, in order, or the directory to look in.

    Raises:
        SourceError: ``CHARRNN_GUTENBERG_MIRROR`` is neither an address nor a directory.

    >>> mirrors({"CHARRNN_GUTENBERG_MIRROR": "http://127.0.0.1:8000/gutenberg/"})
    ('http://127.0.0.1:8000/gutenberg',)
    """
    chosen = environ.get(VARIABLE, "")
    if not chosen:
        return PUBLIC_MIRRORS
    expected = "expected an http(s) address or a local directory laid out like a mirror"
    if "://" in chosen:
        url = _parse(chosen)
        if (
            not url
            or url.scheme not in _PORTS
            or not url.host
            or url.auth
            or url.query
            or url.fragment
        ):
            raise SourceError(f"{VARIABLE} is {chosen!r}; {expected}")
        return (chosen.rstrip("/"),)
    directory = Path(chosen).expanduser()
    if not directory.is_dir():
        raise SourceError(f"{VARIABLE} is {chosen!r}, which is no directory; {expected}")
    return directory


def candidates(number: int) -> tuple[str, ...]:
    """Where a mirror may keep the text of a book, the best first.

    >>> candidates(520)[0], candidates(520)[-1], candidates(7)[-1]
    ('cache/epub/520/pg520.txt', '5/2/520/520.txt', '0/7/7.txt')
    """
    digits = str(number)
    folder = "/".join([*(digits[:-1] or "0"), digits])
    generated = f"cache/epub/{number}/pg{number}.txt"
    return generated, *(f"{folder}/{number}{ending}.txt" for ending in ("-0", "-8", ""))


def is_loopback(address: str) -> bool:
    """Whether an address is on this machine, where nobody else needs our politeness.

    >>> is_loopback("http://127.0.0.1:8000"), is_loopback("https://www.gutenberg.org")
    (True, False)
    """
    host = (parse_url(address).host or "").strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def redirect_refusal(address: str, target: str, mirror: str) -> str | None:
    """Why a redirect from `address` to `target` must not be followed; None if it may be.

    Only names of Project Gutenberg and the mirror that was asked are followed: a list of what is
    allowed keeps out private and loopback addresses in every spelling.

    >>> mirror = "https://aleph.pglaf.org"
    >>> redirect_refusal(mirror, "https://www.gutenberg.org/520", mirror)
    >>> redirect_refusal(mirror, "http://www.gutenberg.org/520", mirror)
    'it leads from https to http'
    >>> redirect_refusal(mirror, "https://10.0.0.1/520", mirror)
    'it leads to 10.0.0.1:443, which is not a host of Project Gutenberg'
    """
    url = _parse(target)
    if not url or not url.host or url.scheme not in _PORTS or url.auth:
        return "it leads to no http(s) address"
    if parse_url(address).scheme == "https" and url.scheme != "https":
        return "it leads from https to http"
    public = any(url.host == name or url.host.endswith(f".{name}") for name in _PUBLIC_DOMAINS)
    if public and _port(url) == _PORTS[url.scheme]:
        return None
    home = parse_url(mirror)
    if (url.host, _port(url)) == (home.host, _port(home)):
        return None
    return f"it leads to {url.host}:{_port(url)}, which is not a host of Project Gutenberg"


def _parse(address: str) -> Url | None:
    try:
        return parse_url(address)
    except LocationParseError:
        return None


def _port(url: Url) -> int | None:
    return url.port or _PORTS.get(url.scheme or "")
