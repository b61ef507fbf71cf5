"""Decode a book: Project Gutenberg has UTF-8 files, and older ones in many encodings."""

import codecs
import re

from charrnn_core.errors import CorpusError

_DECLARED = re.compile(
    rb"^Character set encoding:[ \t]*([!-~]{1,40})", re.IGNORECASE | re.MULTILINE
)
_HEADER_BYTES = 20_000
# Python counts these as encodings, too, but they encode names or source text, not books.
_NOT_OF_BOOKS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}


def decode_book(data: bytes, origin: str) -> str:
    """Decode a book and normalise its line ends to line feeds.

    The encoding is UTF-8 if there is a byte-order mark or the bytes are valid; else the one that
    the header names; else cp1252.

    Raises:
        CorpusError: no encoding fits.

    >>> decode_book(b"Character set encoding: ISO-8859-1\\r\\n\\xe9", "a test")
    'Character set encoding: ISO-8859-1\\né'
    """
    if data.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8-sig"]
    else:
        declared = _DECLARED.search(data, 0, _HEADER_BYTES)
        encodings = ["utf-8", *([declared[1].decode("ascii")] if declared else []), "cp1252"]
    for encoding in encodings:
        try:
            if codecs.lookup(encoding).name in _NOT_OF_BOOKS:
                continue
            text = data.decode(encoding)
        except (LookupError, ValueError):  # an unknown encoding, or bytes invalid in it
            continue
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise CorpusError(
        f"{origin} is not text in {' or '.join(encodings)}; "
        "convert it to UTF-8 by hand and use --source file:PATH"
    )
