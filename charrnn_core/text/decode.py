"""Bytes to text and back: encodings, byte-order marks and line ends. Standard library only."""

import codecs
import difflib
from encodings.aliases import aliases

from charrnn_core.errors import CorpusError
from charrnn_core.public import public
from charrnn_core.text.recognition import (
    is_binary,
    is_mostly_utf8,
    kind_of_file,
    likely_encoding,
    wide_encoding,
)

_MARK = "\ufeff"
_MOST_SHOWN = 60
ERRORS = {"strict": "strict", "replace": "replace", "escape": "surrogateescape"}
"""The ways to treat bytes that are not UTF-8, with Python's names for them."""


def check_encoding(encoding: str, errors: str = "strict") -> None:
    """Refuse an encoding that Python does not know, or that does not go with `errors`.

    Raises:
        ValueError: the encoding is unknown (suggests the nearest), or cannot keep every byte.

    >>> check_encoding("cp1253")
    >>> check_encoding("utf-61")
    Traceback (most recent call last):
    ValueError: unknown text encoding 'utf-61' (did you mean 'utf-16'?); expected one that Python \
knows, such as utf-8, utf-16, cp1252, gb18030 or shift-jis
    """
    try:
        "".encode(encoding)  # fails for codecs from bytes to bytes, such as base64
        codecs.getincrementaldecoder(encoding)
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        others = [name.replace("_", "-") for name in aliases.values() if name != encoding]
        nearest = difflib.get_close_matches(encoding.lower(), others, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(
            f"unknown text encoding {encoding[:_MOST_SHOWN]!r}{hint}; expected one that Python "
            "knows, such as utf-8, utf-16, cp1252, gb18030 or shift-jis"
        ) from error
    if errors == "escape" and name != "utf-8":
        raise ValueError(
            f"errors is 'escape', which works with utf-8 only, but encoding is {encoding!r}; "
            "expected strict or replace with it"
        )


class TextDecoder:
    """An incremental decoder of one text: drops a byte-order mark and normalises line ends.

    Arguments:
        origin: the name of the text in messages.
        newlines: ``"normalise"`` to line feeds, or ``"keep"`` line ends as they are.
        errors: what to do with bytes that are invalid in the encoding: ``"strict"`` raises,
            ``"replace"`` reads U+FFFD, ``"escape"`` reads each as a surrogate that stands for the
            byte. The last preserves every byte, so it also keeps a byte-order mark.
        encoding: Python's name of the encoding.
        option: how to set an option on the command line, such as ``"--source-opt "``, if possible.

    `crlf` and `cr` count the line ends that were changed, `nuls` the characters U+0000.

    >>> decoder = TextDecoder("a test")
    >>> decoder.feed(b"one\\r") + decoder.feed(b"\\ntwo\\rthr\\xc3") + decoder.end(b"\\xa9e")
    'one\\ntwo\\nthrée'
    >>> decoder.crlf, decoder.cr
    (1, 1)
    """

    def __init__(
        self,
        origin: str,
        newlines: str = "normalise",
        errors: str = "strict",
        encoding: str = "utf-8",
        option: str | None = None,
    ) -> None:
        self.origin, self.option = origin, option
        self.crlf = self.cr = self.nuls = 0
        self._decoder = codecs.getincrementaldecoder(encoding)(ERRORS[errors])
        self._normalise, self._mark = newlines == "normalise", errors != "escape"
        self._encoding = codecs.lookup(encoding).name
        self._before, self._held = 0, ""

    def feed(self, data: bytes | memoryview) -> str:
        """Take more bytes; return the text decoded so far.

        Raises:
            CorpusError: they are invalid in the encoding; the message has the offset of the first
                bad byte and the encoding they look like.
        """
        return self._take(data, last=False)

    def end(self, data: bytes | memoryview = b"") -> str:
        """Take the last bytes; return the rest of the text.

        Raises:
            CorpusError: they are invalid in the encoding, or a character is incomplete.
        """
        return self._take(data, last=True)

    def _take(self, data: bytes | memoryview, last: bool) -> str:
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, last)
        except UnicodeDecodeError as error:
            raise CorpusError(self._explained(error, self._before - pending)) from error
        except UnicodeError as error:  # UTF-16 or UTF-32 without a mark
            raise CorpusError(
                f"{self.origin} cannot be read as {self._encoding}: {error}; specify its byte "
                f"order: {self._encoding}le or {self._encoding}be"
            ) from error
        self._before += len(data)
        self.nuls += text.count("\0")
        if self._mark and text:
            self._mark, text = False, text.removeprefix(_MARK)
        return self._with_line_feeds(text, last) if self._normalise else text

    def _explained(self, error: UnicodeDecodeError, before: int) -> str:
        data, bad = bytes(error.object), error.start
        where = f"byte 0x{data[bad]:02x} at offset {before + bad}"
        if self._encoding != "utf-8":
            return (
                f"{self.origin} is not valid {self._encoding}: {where} is not allowed there; "
                "use another encoding"
            )
        message = f"{self.origin} is not UTF-8: {where}; "
        if is_mostly_utf8(data):
            replace = f"{self.option}errors=replace or " if self.option else ""
            return (
                f"{message}the rest looks like it: repair the text, or replace the bad bytes with "
                f"{replace}iconv -c -f utf-8 -t utf-8"
            )
        return message + _remedy(likely_encoding(data, bad), self.option)

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


def check_is_text(
    beginning: bytes, origin: str, encoding: str = "utf-8", option: str | None = None
) -> None:
    """Refuse a file that does not begin like text, or not like UTF-8.

    Arguments:
        beginning: the first bytes, at most some 65,536 of them.
        origin, encoding, option: as for `TextDecoder`.

    Raises:
        CorpusError: it does not; the message says how to get its text.

    >>> check_is_text(b"\\xff\\xfeh\\0o\\0", "hi.txt")
    Traceback (most recent call last):
    charrnn_core.CorpusError: hi.txt is not UTF-8: it looks like utf-16; convert it: \
iconv -f utf-16 -t utf-8
    """
    if (kind := kind_of_file(beginning)) is not None:
        what, command = kind
        how = f"extract its text first: {command}" if command else "it has no text to extract"
        raise CorpusError(f"{origin} is {what}, not text; {how}")
    if codecs.lookup(encoding).name != "utf-8":
        return
    if (wide := wide_encoding(beginning)) is not None:
        raise CorpusError(f"{origin} is not UTF-8: {_remedy(wide, option)}")
    if is_binary(beginning):
        raise CorpusError(
            f"{origin} looks like binary data: it is full of control characters; expected text"
        )


def _remedy(encoding: str | None, option: str | None) -> str:
    if encoding is None:
        name = f"name its encoding with {option}encoding=NAME, or " if option else ""
        return f"it does not look like text; if it is, {name}convert it: iconv -f NAME -t utf-8"
    read = f"read it with {option}encoding={encoding}, or " if option else ""
    return f"it looks like {encoding}; {read}convert it: iconv -f {encoding} -t utf-8"


@public
def decode_text(data: bytes, origin: str, errors: str = "strict") -> str:
    """Decode UTF-8 bytes, dropping a byte-order mark and normalising line ends to line feeds.

    Arguments:
        data: the bytes.
        origin: the name of the text in messages.
        errors: what to do with bytes that are not UTF-8, see `TextDecoder`.

    Raises:
        CorpusError: the bytes are not UTF-8 text; the message says what they look like.

    >>> decode_text(b"\\xef\\xbb\\xbfone\\r\\ntwo\\rthree", "a test")
    'one\\ntwo\\nthree'
    """
    if errors != "escape":
        check_is_text(data, origin)
    return TextDecoder(origin, errors=errors).end(data)


def encode_text(text: str) -> bytes:
    """Encode any text in UTF-8; a surrogate that stands for a byte becomes that byte.

    >>> encode_text("h\\xe9\\udcff")
    b'h\\xc3\\xa9\\xff'
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it has surrogates that do not stand for bytes
        return b"".join(
            symbol.encode("utf-8", "surrogateescape" if _is_byte(symbol) else "surrogatepass")
            for symbol in text
        )


def _is_byte(symbol: str) -> bool:
    return "\udc80" <= symbol <= "\udcff"
