"""The mirrors of Project Gutenberg and the paths of a book on them."""

import os
from collections.abc import Mapping
from pathlib import Path

from urllib3.util import parse_url

from charrnn_core.addresses import PORTS, parse_address, port_of, unsafe_redirect
from charrnn_core.errors import SourceError

VARIABLE = "CHARRNN_GUTENBERG_MIRROR"
PUBLIC_MIRRORS = (
    "https://gutenberg.pglaf.org",
    "https://aleph.pglaf.org",
    "https://www.gutenberg.org",
)
_PUBLIC_DOMAINS = ("gutenberg.org", "pglaf.org")


def mirrors(environ: Mapping[str, str] = os.environ) -> tuple[str, ...] | Path:
    """Return the addresses of the mirrors to try, in order, or the directory of a local one.

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
        url = parse_address(chosen)
        if not url or url.query or url.fragment:
            raise SourceError(f"{VARIABLE} is {chosen!r}; {expected}")
        return (chosen.rstrip("/"),)
    directory = Path(chosen).expanduser()
    if not directory.is_dir():
        raise SourceError(f"{VARIABLE} is {chosen!r}, which is not a directory; {expected}")
    return directory


def candidates(number: int) -> tuple[str, ...]:
    """Return the paths where a mirror may have the text of a book, the best first.

    >>> candidates(520)[0], candidates(520)[-1], candidates(7)[-1]
    ('cache/epub/520/pg520.txt', '5/2/520/520.txt', '0/7/7.txt')
    """
    digits = str(number)
    folder = "/".join([*(digits[:-1] or "0"), digits])
    generated = f"cache/epub/{number}/pg{number}.txt"
    return generated, *(f"{folder}/{number}{ending}.txt" for ending in ("-0", "-8", ""))


def redirect_refusal(address: str, target: str, mirror: str) -> str | None:
    """Return why a redirect from `address` to `target` must not be followed; None if it may be.

    Only hosts of Project Gutenberg and the mirror itself are allowed: an allow-list keeps out
    private and loopback addresses in every spelling.

    >>> mirror = "https://aleph.pglaf.org"
    >>> redirect_refusal(mirror, "https://www.gutenberg.org/520", mirror)
    >>> redirect_refusal(mirror, "http://www.gutenberg.org/520", mirror)
    'it leads from https to http'
    >>> redirect_refusal(mirror, "https://10.0.0.1/520", mirror)
    'it leads to 10.0.0.1:443, which is not a host of Project Gutenberg'
    """
    if refusal := unsafe_redirect(address, target):
        return refusal
    url, home = parse_url(target), parse_url(mirror)
    host = url.host or ""
    public = any(host == name or host.endswith(f".{name}") for name in _PUBLIC_DOMAINS)
    if public and port_of(url) == PORTS[url.scheme or ""]:
        return None
    if (host, port_of(url)) == (home.host, port_of(home)):
        return None
    return f"it leads to {host}:{port_of(url)}, which is not a host of Project Gutenberg"
