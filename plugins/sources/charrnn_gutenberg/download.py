"""Download a book from the mirrors, trying them in order."""

from collections.abc import Callable

from charrnn_core.addresses import is_loopback
from charrnn_core.download import DownloadError, UnreachableError
from charrnn_core.downloaded import Found
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.files.atomic import sha256
from charrnn_gutenberg.client import MirrorClient
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.mirrors import VARIABLE, candidates
from charrnn_gutenberg.politeness import Pace
from charrnn_gutenberg.wrapper import STRIPPER_VERSION, strip_wrapper, trim_blank_lines


def download(
    number: int,
    mirrors: tuple[str, ...],
    pace: Pace,
    known: Found | None,
    note: Callable[[str], None],
) -> Found:
    """Download a book.

    Arguments:
        number: the number of the book.
        mirrors: addresses, tried in order.
        pace: limits the rate of requests.
        known: the copy in the cache, returned if a mirror says that it is unchanged.
        note: called with a line for each request.

    Raises:
        SourceError: no mirror has the book, none can be reached, or one refuses robots.
    """
    if not all(map(is_loopback, mirrors)):
        pace.count_book(number)
    absent: list[str] = []
    failures: list[DownloadError] = []
    for mirror in mirrors:
        with MirrorClient(mirror, pace) as client:
            try:
                for path in candidates(number):
                    url = f"{mirror}/{path}"
                    note(f"asking {url}")
                    answer = client.get(url, known.conditions(url) if known else {})
                    if answer.status == 304 and known:
                        note(f"gutenberg:{number} has not changed")
                        return known
                    if answer.status == 200:
                        return Found.of(
                            url,
                            answer,
                            sha256_content=_content_digest(answer.body, url),
                            stripper_version=STRIPPER_VERSION,
                        )
            except DownloadError as error:
                failures.append(error)
            else:
                absent.append(mirror)
    if not absent and all(isinstance(failure, UnreachableError) for failure in failures):
        pace.uncount_book()  # no request was sent, and a day offline must not use up the limit
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


def _content_digest(data: bytes, origin: str) -> str | None:
    try:
        text = strip_wrapper(decode_book(data, origin)).text
    except CorpusError:  # decoding will report it; the bytes are worth keeping anyway
        return None
    return sha256(trim_blank_lines(text).encode())
