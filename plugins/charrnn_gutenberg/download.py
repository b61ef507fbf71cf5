"""Getting one book from the mirrors, in order, into the cache."""

import datetime
from collections.abc import Callable

from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.storage import sha256
from charrnn_gutenberg.cache import CachedBook, Sidecar
from charrnn_gutenberg.client import Answer, Client, MirrorError, UnreachableError
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.mirrors import VARIABLE, candidates, is_loopback
from charrnn_gutenberg.politeness import Pace
from charrnn_gutenberg.wrapper import STRIPPER_VERSION, strip_wrapper, trim_blank_lines


def download(
    number: int,
    mirrors: tuple[str, ...],
    cached: CachedBook,
    known: tuple[bytes, Sidecar] | None,
    note: Callable[[str], None],
) -> tuple[bytes, Sidecar]:
    """Ask the mirrors for a book and keep it. The caller holds the book's lock.

    Arguments:
        mirrors: addresses, tried in order.
        known: the copy in the cache, kept where a mirror says that it is unchanged.

    Raises:
        SourceError: no mirror has the book, none can be reached, or one refuses robots.
        StorageError: it cannot be kept.
    """
    pace = Pace(cached.raw.parent)
    if not all(map(is_loopback, mirrors)):
        pace.count_book(number)
    absent: list[str] = []
    failures: list[MirrorError] = []
    for mirror in mirrors:
        with Client(mirror, pace) as client:
            try:
                for path in candidates(number):
                    url = f"{mirror}/{path}"
                    note(f"asking {url}")
                    answer = client.get(url, _conditions(url, known))
                    if answer.status == 304 and known:
                        note(f"gutenberg:{number} has not changed")
                        return known
                    if answer.status == 200:
                        sidecar = _describe(url, answer)
                        cached.write(answer.body, sidecar)
                        return answer.body, sidecar
            except MirrorError as error:
                failures.append(error)
            else:
                absent.append(mirror)
    if not absent and all(isinstance(failure, UnreachableError) for failure in failures):
        pace.uncount_book()  # nobody was asked, and a day without network must not use up books
    if failures:
        reasons = [*map(str, failures), *(f"{mirror} does not have it" for mirror in absent)]
        raise SourceError(
            f"cannot download gutenberg:{number}: {'; '.join(reasons)}; check the network, "
            f"set {VARIABLE} to a local mirror, or use --source file:PATH"
        )
    raise SourceError(
        f"Project Gutenberg has no plain text of book {number}: asked {', '.join(absent)} for "
        f"{', '.join(candidates(number))}; check the number at "
        f"https://www.gutenberg.org/ebooks/{number}"
    )


def _conditions(url: str, known: tuple[bytes, Sidecar] | None) -> dict[str, str]:
    """Headers that ask for a book only if it has changed; an etag belongs to one address."""
    if known is None or known[1].url != url:
        return {}
    headers = {"If-None-Match": known[1].etag, "If-Modified-Since": known[1].last_modified}
    return {name: value for name, value in headers.items() if value}


def _describe(url: str, answer: Answer) -> Sidecar:
    return Sidecar(
        url=url,
        final_url=answer.url,
        fetched_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        etag=answer.headers.get("etag"),
        last_modified=answer.headers.get("last-modified"),
        bytes=len(answer.body),
        sha256_raw=sha256(answer.body),
        sha256_content=_content_digest(answer.body, url),
        stripper_version=STRIPPER_VERSION,
    )


def _content_digest(data: bytes, origin: str) -> str | None:
    try:
        text = strip_wrapper(decode_book(data, origin)).text
    except CorpusError:  # reading will say so; the bytes are worth keeping all the same
        return None
    return sha256(trim_blank_lines(text).encode())
