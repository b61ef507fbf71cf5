"""The targets of the sources ``https`` and ``http``, which read a text from its address."""

import shlex
from email.message import Message

from charrnn_core.addresses import parse_address
from charrnn_core.console.program import command
from charrnn_core.download import DownloadError
from charrnn_core.downloaded import Downloaded, Found
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_web import WebOptions
from charrnn_web.client import WebClient

DIRECTORY = "web"


def https(argument: str | None, options: WebOptions, context: SourceContext) -> Corpus:
    """Read the text at an address that begins with ``https:``.

    Arguments:
        argument: the rest of the address.
        options: the encoding, and whether to refresh the cache.
        context: the cache, and whether we are offline.

    Raises:
        SourceError: it is not an address, the server does not return it, or we are offline.
        CorpusError: the server returns something that is not text.
        StorageError: the cache cannot be written.
    """
    return _text("https", argument, options, context)


def http(argument: str | None, options: WebOptions, context: SourceContext) -> Corpus:
    """Read the text at an address that begins with ``http:``; see `https`."""
    return _text("http", argument, options, context)


def _text(scheme: str, argument: str | None, options: WebOptions, context: SourceContext) -> Corpus:
    address = web_address(scheme, argument)
    place = Downloaded(context.cache / DIRECTORY, address)

    def ask(known: Found | None) -> Found:
        context.note(f"asking {address}")
        return fetch(address, known)

    found = place.get(address, context, options.refresh, ask, "use --source file:PATH")
    text = decode(found, options.encoding, address)
    return Corpus(text=text, name=address, origin=found.facts["final_url"])


def web_address(scheme: str, argument: str | None) -> str:
    """Return the address that a spec names, without a fragment.

    Raises:
        SourceError: it is not an address, or contains a user name or password.

    >>> web_address("https", "//example.org/tale.txt#end")
    'https://example.org/tale.txt'
    """
    typed = f"{scheme}:{argument or ''}"
    if (url := parse_address(typed)) and (argument or "").startswith("//"):
        return url._replace(fragment=None).url
    secret = "@" in (argument or "").partition("//")[2].partition("/")[0]
    if secret:  # neither a run nor this message may keep it
        raise SourceError(
            f"an address of {scheme}: contains a user name or password, which a run would keep; "
            f"fetch the text yourself: curl ... | {command('run', '--source', '-')}"
        )
    raise SourceError(
        f"{typed[:200]!r} is not a web address; expected one such as "
        f"{scheme}://example.org/tale.txt"
    )


def fetch(address: str, known: Found | None) -> Found:
    """Request a text from the server, or only whether `known` has changed.

    Raises:
        SourceError: the server does not return it; the message has another way to get it.
    """
    try:
        with WebClient() as client:
            answer = client.get(address, known.conditions(address) if known else {})
        if answer.status == 304 and known:
            return known
        if answer.status != 200:
            raise DownloadError(f"{address} not found (HTTP {answer.status})")
    except DownloadError as error:
        raise SourceError(
            f"{error}; check the address, or fetch the text by other means: "
            f"curl -L {shlex.quote(address)} | {command('run', '--source', '-')}"
        ) from error
    return Found.of(address, answer, content_type=answer.headers.get("content-type", ""))


def decode(found: Found, encoding: str, address: str) -> str:
    """Decode a download and normalise its line ends to line feeds.

    Arguments:
        found: the download.
        encoding: the encoding; if empty, UTF-8 if valid, else what the server declares.
        address: the name of the text in messages.

    Raises:
        CorpusError: it is not text, or in another encoding.
    """
    header = Message()
    header["content-type"] = str(found.facts.get("content_type") or "")
    declared = header.get_content_charset("")
    encodings = [encoding] if encoding else ["utf-8-sig"]
    if declared not in ("", "utf-8") and not encoding:
        encodings.append(declared)
    for each in encodings:
        try:
            text = found.data.decode(each)
        except (LookupError, ValueError):  # an unknown encoding, or bytes invalid in it
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    names = " or ".join("UTF-8" if each == "utf-8-sig" else repr(each) for each in encodings)
    raise CorpusError(
        f"{address} is not text in {names} (its type is {header['content-type'] or 'unknown'!r}); "
        "if it is text, set its encoding: --source-opt encoding=latin1"
    )
