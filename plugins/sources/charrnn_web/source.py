"""The targets of the sources ``https`` and ``http``: from an address to a text."""

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
    """The text at an address that begins with ``https:``.

    Arguments:
        argument: the rest of the address.

    Raises:
        SourceError: it is no address, the server does not give it, or we are offline.
        CorpusError: what it gives is no text.
        StorageError: the cache cannot be written.
    """
    return _text("https", argument, options, context)


def http(argument: str | None, options: WebOptions, context: SourceContext) -> Corpus:
    """The same for ``http:``."""
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
    """The address that a spec means, without a fragment.

    Raises:
        SourceError: it is none, or it holds a name and a password.

    >>> web_address("https", "//example.org/tale.txt#end")
    'https://example.org/tale.txt'
    """
    typed = f"{scheme}:{argument or ''}"
    if (url := parse_address(typed)) and (argument or "").startswith("//"):
        return url._replace(fragment=None).url
    secret = "@" in (argument or "").partition("//")[2].partition("/")[0]
    if secret:  # neither a run nor this message shall keep it
        raise SourceError(
            f"an address of {scheme}: has a name or a password, which a run would keep; "
            f"fetch it yourself: curl ... | {command('run', '--source', '-')}"
        )
    raise SourceError(
        f"{typed[:200]!r} is no web address; expected one such as {scheme}://example.org/tale.txt"
    )


def fetch(address: str, known: Found | None) -> Found:
    """Ask the server for a text, or whether `known` is still what it has.

    Raises:
        SourceError: it does not give one; the message has another way to get it.
    """
    try:
        with WebClient() as client:
            answer = client.get(address, known.conditions(address) if known else {})
        if answer.status == 304 and known:
            return known
        if answer.status != 200:
            raise DownloadError(f"there is nothing at {address} (HTTP {answer.status})")
    except DownloadError as error:
        raise SourceError(
            f"{error}; check the address, or fetch the text by other means: "
            f"curl -L {shlex.quote(address)} | {command('run', '--source', '-')}"
        ) from error
    return Found.of(address, answer, content_type=answer.headers.get("content-type", ""))


def decode(found: Found, encoding: str, address: str) -> str:
    """The text of what was downloaded; its lines end in a line feed.

    Arguments:
        encoding: the one to use; if empty, UTF-8 where that fits, else what the server says.

    Raises:
        CorpusError: it is no text, or another encoding's.
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
        except (LookupError, ValueError):  # an unknown encoding, or bytes it does not have
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    names = " or ".join("UTF-8" if each == "utf-8-sig" else repr(each) for each in encodings)
    raise CorpusError(
        f"{address} is no text in {names} (it is sent as {header['content-type'] or 'no type'!r}); "
        "if it is text, say in which encoding: --source-opt encoding=latin1"
    )
