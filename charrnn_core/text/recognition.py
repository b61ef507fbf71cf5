"""Recognise bytes that are not UTF-8: another encoding, or not text. Standard library only.

Many kinds of files begin with a signature. Encodings have none, so they are tried in turn: in the
right one, the most frequent letters of a language are those that occur. UTF-16 and UTF-32 are
recognised by their NUL bytes, one of every two or three of every four.
"""

import codecs
import re

_LOOKED_AT = 1 << 16

_PIPE = "| charrnn run --source -"
_MARKS = (
    (b"%PDF-", "a PDF document", f"pdftotext FILE - {_PIPE}"),
    (b"\x1f\x8b", "compressed with gzip", f"gunzip -c < FILE {_PIPE}"),
    (b"\xfd7zXZ\0", "compressed with xz", f"xz -dc < FILE {_PIPE}"),
    (b"BZh", "compressed with bzip2", f"bunzip2 -c < FILE {_PIPE}"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", f"zstd -dc < FILE {_PIPE}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", f"7z x -so FILE {_PIPE}"),
    (b"Rar!\x1a\x07", "a RAR archive", f"unrar p -inul FILE {_PIPE}"),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        f"sqlite3 FILE 'select COLUMN from TABLE' {_PIPE}",
    ),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office document",
        "libreoffice --headless --convert-to txt:Text:UTF8 FILE",
    ),
    (b"\x89PNG\r\n", "an image (PNG)", ""),
    (b"\xff\xd8\xff", "an image (JPEG)", ""),
    (b"GIF87a", "an image (GIF)", ""),
    (b"GIF89a", "an image (GIF)", ""),
    (b"II*\0", "an image (TIFF)", ""),
    (b"MM\0*", "an image (TIFF)", ""),
    (b"RIFF", "an image or sound (RIFF)", ""),
    (b"OggS", "sound (Ogg)", ""),
    (b"ID3", "sound (MP3)", ""),
    (b"\x7fELF", "a program", ""),
    (b"MZ", "a program", ""),
    (b"\xca\xfe\xba\xbe", "a program", ""),
    (b"\xcf\xfa\xed\xfe", "a program", ""),
    (b"\0asm", "a program", ""),
    (b"PAR1", "a Parquet table", ""),
    (b"ARROW1", "an Arrow table", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"\x89HDF\r\n", "an HDF5 file", ""),
    (b"CRNN", "a checkpoint of charrnn", ""),
)
"""The signature of a kind of file, what it is, and a command that extracts its text."""

_ARCHIVES = (
    (b"PK", b"mimetypeapplication/epub+zip", "an e-book (EPUB)", "pandoc -t plain FILE"),
    (b"PK", b"mimetypeapplication/vnd.oasis", "an OpenDocument file", "pandoc -t plain FILE"),
    (b"PK", b"word/", "a Word document", "pandoc -t plain FILE"),
    (b"PK", b"", "a ZIP archive", "unzip -p FILE"),
)
_TAR = slice(257, 262)

_ENCODED = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = (("utf-32le", 4), ("utf-32be", 4), ("utf-16le", 2), ("utf-16be", 2))
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшю"
_LETTERS = {
    "cp1252": "éèêëàâäáãåæçíìîïñóòôöõøœúùûüßÀÁÄÅÉÖØÜ–—‘’“”„«»…°§€£©",
    "cp1250": "ąćęłńóśźżáčďéěíňřšťúůýžőűöüäôĺľŕă–—„”“’«»…",
    "cp1251": f"{_CYRILLIC}–—«»…№",
    "koi8-r": _CYRILLIC,
    "cp866": _CYRILLIC,
    "cp1253": "αοιετσνηυρπκμλςωγδθχφβξζψάέήίόύώ",
}
_JAPANESE = "のにはをたがでてとしれさいるなもかっうりらあこけくそき、。「」ーンルスト"
_CHINESE = "的一是不了在人有我他中大上到和你地出道也年得就那要下以生自之家可里，。“”、？！：；「」"
_SIGNS = {
    "gb18030": f"{_CHINESE}这来国个说们为子时会着去过学对她后",
    "big5": f"{_CHINESE}這來國個說們為子時會著去過學對她後",
    "shift-jis": _JAPANESE,
    "euc-jp": _JAPANESE,
    "euc-kr": "이다는의을에가고하지를은한로서기도나자사어인리시대그일보정스들만해라으게",
}
"""The most frequent characters of texts in an encoding, single-byte and multi-byte."""

_USUAL = {**dict.fromkeys(_LETTERS, 0.95), **dict.fromkeys(_SIGNS, 0.3)}
"""Their usual share of the characters outside ASCII."""

_LEAST_LIKELY = 0.6
_REPLACED = "\ufffd"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.05
_FEWEST_OF_WIDE = 0.15
# Read in the wrong width or byte order, bytes become characters of any script, even unassigned.
_WRITTEN = re.compile(
    "[\t\n\f\r -~\xa0-\u024f\u0370-\u052f\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f\u2000-\u206f"
    "\u20a0-\u20bf\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\ufe30-\ufe4f\uff00-\uffef\ufeff"
    "\U0001f300-\U0001faff]"
)
_LEAST_WRITTEN = 0.95


def kind_of_file(beginning: bytes) -> tuple[str, str] | None:
    """Recognise a file by its signature; return what it is and a command that extracts its text.

    The command is empty if there is none.

    Arguments:
        beginning: its first bytes, a few hundred at least.

    >>> kind_of_file(b"%PDF-1.4")
    ('a PDF document', 'pdftotext FILE - | charrnn run --source -')
    >>> kind_of_file(b"MZ, he wrote.") is None
    True
    """
    beginning = beginning[:_LOOKED_AT]
    if not _CONTROLS.search(beginning) and not beginning.startswith(b"%PDF-"):
        return None  # a text may begin with one of the short signatures
    for mark, what, command in _MARKS:
        if beginning.startswith(mark):
            return what, command
    for mark, inside, what, command in _ARCHIVES:
        if beginning.startswith(mark) and inside in beginning:
            return what, f"{command} {_PIPE}"
    if beginning[_TAR] == b"ustar":
        return "a tar archive", f"tar -xOf FILE {_PIPE}"
    return None


def is_binary(beginning: bytes) -> bool:
    """Return whether a file has many control characters, unlike text.

    >>> is_binary(bytes(range(256))), is_binary(b"ho\\tho\\r\\nho")
    (True, False)
    """
    beginning = beginning[:_LOOKED_AT]
    return len(_CONTROLS.findall(beginning)) > _MOST_CONTROLS * len(beginning)


def wide_encoding(beginning: bytes) -> str | None:
    """Return the encoding that a byte-order mark or the NUL bytes reveal, if any.

    >>> wide_encoding("ho ho ho".encode("utf-16be")), wide_encoding(b"ho ho ho")
    ('utf-16be', None)
    """
    beginning = beginning[:_LOOKED_AT]
    for mark, encoding in _ENCODED:
        if beginning.startswith(mark):
            return encoding
    if b"\0" not in beginning or _is_utf8_with_few_controls(beginning):
        return None
    counts = {name: _ascii_of_wide(beginning, name, width) for name, width in _WIDE}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else None


def likely_encoding(data: bytes, bad: int = 0) -> str | None:
    """Guess the encoding of text that is not UTF-8; return None if none fits.

    Arguments:
        data: some of its bytes.
        bad: the offset of the first byte that is not UTF-8.

    >>> likely_encoding("où est le café?".encode("latin-1"))
    'cp1252'
    """
    start = data.rfind(b"\n", 0, bad) + 1  # in none of these encodings is it part of a character
    data = data[start : start + _LOOKED_AT]
    likely = {
        name: _share(data, name, letters) / _USUAL[name]
        for name, letters in {**_LETTERS, **_SIGNS}.items()
    }
    best = max(likely, key=likely.__getitem__)
    return best if likely[best] >= _LEAST_LIKELY else None


def is_mostly_utf8(data: bytes) -> bool:
    """Return whether most of what is not ASCII in some text is valid UTF-8.

    >>> is_mostly_utf8("größer über Straße".encode() + b"\\xff")
    True
    """
    text = data.decode("utf-8", "replace")
    bad = text.count(_REPLACED)
    return sum(not symbol.isascii() for symbol in text) - bad > bad


def _share(data: bytes, encoding: str, letters: str) -> float:
    """Return the share of frequent letters outside ASCII; 0 if the bytes are invalid."""
    try:
        # An incremental decoder, because the data may end in the middle of a character.
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return 0.0
    others = [symbol for symbol in text if not symbol.isascii()]
    return sum(symbol in letters for symbol in others) / max(1, len(others))


def _is_utf8_with_few_controls(data: bytes) -> bool:
    """Return whether it is UTF-8 without the many control characters of UTF-16 read as such."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return len(_CONTROLS.findall(data)) < _FEWEST_OF_WIDE * len(data)


def _ascii_of_wide(data: bytes, encoding: str, width: int) -> int:
    """Count the ASCII characters, at `width` bytes per character; 0 if the result is not text."""
    try:
        text = data[: len(data) // width * width].decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        return 0
    if "\0" in text or len(_WRITTEN.findall(text)) < _LEAST_WRITTEN * len(text):
        return 0
    return sum(map(str.isascii, text))
