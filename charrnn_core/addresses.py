"""Web addresses: which are sound, which are on this machine, and where a redirect may lead."""

import ipaddress
import socket

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

PORTS = {"http": 80, "https": 443}
"""The schemes of web addresses, and their own ports."""


def parse_address(text: str) -> Url | None:
    """The parts of an http(s) address without a user's name; None if it is none.

    >>> parse_address("https://example.org/a.txt").host, parse_address("ftp://example.org")
    ('example.org', None)
    """
    try:
        url = parse_url(text)
    except (LocationParseError, ValueError):
        return None
    return url if url.host and url.scheme in PORTS and not url.auth else None


def port_of(url: Url) -> int | None:
    """The port of an address, its scheme's own if it names none."""
    return url.port or PORTS.get(url.scheme or "")


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


def is_public(host: str) -> bool:
    """Whether all that a host's name stands for is in the public internet, in every spelling.

    A name that stands for nothing is no danger, and counts as public.

    >>> is_public("10.0.0.1"), is_public("127.1"), is_public("8.8.8.8")
    (False, False, True)
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(
        ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found
    )


def unsafe_redirect(address: str, target: str) -> str | None:
    """Why no client should follow a redirect from `address` to `target`; None if one may.

    >>> unsafe_redirect("https://example.org/a", "http://example.org/a")
    'it leads from https to http'
    """
    url = parse_address(target)
    if not url:
        return "it leads to no http(s) address"
    if parse_url(address).scheme == "https" and url.scheme != "https":
        return "it leads from https to http"
    return None
