"""Web addresses: parse them, recognise local ones, and check where a redirect leads."""

import ipaddress
import socket

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

PORTS = {"http": 80, "https": 443}
"""The schemes of web addresses, with their default ports."""


def parse_address(text: str) -> Url | None:
    """Parse an http(s) address; return None if it is not one, or contains a user name.

    >>> parse_address("https://example.org/a.txt").host, parse_address("ftp://example.org")
    ('example.org', None)
    """
    try:
        url = parse_url(text)
    except (LocationParseError, ValueError):
        return None
    return url if url.host and url.scheme in PORTS and not url.auth else None


def port_of(url: Url) -> int | None:
    """Return the port of an address, by default that of its scheme."""
    return url.port or PORTS.get(url.scheme or "")


def is_loopback(address: str) -> bool:
    """Return whether an address is on this machine, where there is no need for rate limits.

    >>> is_loopback("http://127.0.0.1:8000"), is_loopback("https://www.gutenberg.org")
    (True, False)
    """
    host = (parse_url(address).host or "").strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public(host: str) -> bool:
    """Return whether everything a host name resolves to is public, in every spelling.

    A name that does not resolve is harmless and counts as public.

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
    """Return why a redirect from `address` to `target` must not be followed; None if it may be.

    >>> unsafe_redirect("https://example.org/a", "http://example.org/a")
    'it leads from https to http'
    """
    url = parse_address(target)
    if not url:
        return "it does not lead to an http(s) address"
    if parse_url(address).scheme == "https" and url.scheme != "https":
        return "it leads from https to http"
    return None
