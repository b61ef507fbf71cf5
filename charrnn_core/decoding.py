"""Bytes to text and back: UTF-8, byte-order marks and line ends. Standard library only."""

import codecs

from charrnn_core.errors import CorpusError

_MARK = "\ufeff"
ERRORS = {"strict": "strict", "replace": "replace", "escape": "surrogateescape"}
"""What to do with bytes that are not UTF-8, and what Python calls it."""


class TextDecoder:
    """Reads the bytes of one text as UTF-8: no byte-order mark, and every line ends in a line feed.

    Arguments:
        origin: how messages call the text.
        newlines: ``"normalise"``, or ``"keep"`` line ends as they are.
        errors: what to do with bytes that are not UTF-8: ``"strict"`` raises, ``"replace"`` reads
            U+FFFD, ``"escape"`` reads each as a surrogate that gives the byte back. The last is for
            those who want every byte: it leaves a byte-order mark in, too.

    `crlf` and `cr` count the line ends that were changed.

    >>> decoder = TextDecoder("a test")
    >>> decoder.feed(b"one\\r") + decoder.feed(b"\\ntwo\\rthr\\xc3") + decoder.end(b"\\xa9e")
    'one\\ntwo\\nthrée'
    >>> decoder.crlf, decoder.cr
    (1, 1)
    """

    def __init__(self, origin: str, newlines: str = "normalise", errors: str = "strict") -> None:
        self.origin = origin
        self.crlf = self.cr = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(ERRORS[errors])
        self._normalise, self._mark = newlines == "normalise", errors != "escape"
        self._before, self._held = 0, ""

    def feed(self, data: bytes | memoryview) -> str:
        """Take more bytes; the text that is certain now.

        Raises:
            CorpusError: they are not UTF-8; the message has the offset of the first bad byte.
        """
        return self._take(data, last=False)

    def end(self, data: bytes | memoryview = b"") -> str:
        """Take the last bytes; the rest of the text.

        Raises:
            CorpusError: they are not UTF-8, or a character is incomplete.
        """
        return self._take(data, last=True)

    def _take(self, data: bytes | memoryview, last: bool) -> str:
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, last)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{self.origin} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset "
                f"{self._before - pending + error.start}; "
                "convert it first, for example with: iconv -f latin1 -t utf-8"
            ) from error
        self._before += len(data)
        if self._mark and text:
            self._mark, text = False, text.removeprefix(_MARK)
        return self._with_line_feeds(text, last) if self._normalise else text

    def _with_line_feeds(self, text: str, last: bool) -> str:
        if self._held:
            text = self._held + text
        # A carriage return at the end may be the first half of a line end.
        self._held = "\r" if text.endswith("\r") and not last else ""
        if self._held:
            text = text[:-1]
        if "\r" in text:
            crlf = text.count("\r\n")
            self.crlf, self.cr = self.crlf + crlf, self.cr + text.count("\r") - crlf
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text


def decode_text(data: bytes, origin: str, errors: str = "strict") -> str:
    """Read UTF-8 bytes as text: no byte-order mark, and every line ends in a line feed.

    Arguments:
        errors: what to do with bytes that are not UTF-8, see `TextDecoder`.

    Raises:
        CorpusError: the bytes are not UTF-8; the message has the offset of the first bad byte.

    >>> decode_text(b"\\xef\\xbb\\xbfone\\r\\ntwo\\rthree", "a test")
    'one\\ntwo\\nthree'
    """
    return TextDecoder(origin, errors=errors).end(data)


def encode_text(text: str) -> bytes:
    """The bytes of any text in UTF-8; a surrogate that stands for a byte becomes that byte.

    >>> encode_text("h\\xe9\\udcff")
    b'h\\xc3\\xa9\\xff'
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it has surrogates that stand for no byte
        return b"".join(
            symbol.encode("utf-8", "surrogateescape" if _is_byte(symbol) else "surrogatepass")
            for symbol in text
        )


def _is_byte(symbol: str) -> bool:
    return "\udc80" <= symbol <= "\udcff"
