"""What is no UTF-8 is recognised, and the advice is one that works."""

import codecs
import gzip
import io
import lzma
import sqlite3
import zipfile
from pathlib import Path

import pytest
from charrnn_text import FileOptions
from charrnn_text.files import file

from charrnn_core.errors import CorpusError, OptionError
from charrnn_core.registry.options import read_options
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_core.text.decode import decode_text
from charrnn_core.text.recognition import is_binary, kind_of_file, likely_encoding, wide_encoding

RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья\n"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n"
CHINESE = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。\n"
TEXTS = [
    ("cp1252", "café!"),
    ("cp1252", "Der größte Bär läuft über die Straße, “sehr” gern\n"),
    ("cp1250", "Zażółć gęślą jaźń i jeszcze więcej\n"),
    ("cp1251", RUSSIAN),
    ("koi8-r", RUSSIAN),
    ("cp866", RUSSIAN),
    ("cp1253", "Εν αρχή ην ο λόγος και ο λόγος ην προς τον Θεόν\n"),
    ("gb18030", CHINESE),
    ("gb18030", "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。青山依旧在，几度夕阳红。\n"),
    ("big5", "話說天下大勢，分久必合，合久必分。周末七國分爭，并入於秦。\n"),
    ("shift-jis", JAPANESE),
    ("euc-jp", JAPANESE),
    ("euc-kr", "모든 국민은 신체의 자유를 가진다. 누구든지 법률에 의하지 아니하고는\n"),
]
WIDE = ["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path: str, note=lambda line: None, **options: str) -> Corpus:
    return file(path, FileOptions(**options), SourceContext(Path("/nonexistent"), note=note))


def refused(data: bytes, **options: str) -> str:
    Path("it").write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        read("it", **options)
    assert "\n" not in str(caught.value) and "latin1" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("encoding, text", TEXTS)
def test_an_encoding_is_known_by_its_letters(encoding, text):
    message = refused(text.encode(encoding))
    assert "it is not UTF-8: byte 0x" in message and " at offset " in message
    assert f"--source-opt encoding={encoding}, or" in message
    assert f"iconv -f {encoding} -t utf-8" in message
    assert read("it", encoding=encoding).text == text
    # No text that is longer than what is looked at, and begins in English, is taken for another.
    long = b"so it begins\n" * 100_000 + text.encode(encoding) * 2000
    assert f"encoding={encoding}, or" in refused(long)


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("text", ["ho ho ho\n", RUSSIAN, CHINESE, JAPANESE, "where is the café?\n"])
def test_utf_16_and_utf_32_are_known_with_and_without_a_mark(encoding, text):
    message = refused(text.encode(encoding))
    assert f"it looks like {encoding}; read it with --source-opt enc" in message
    corpus = read("it", encoding=encoding)
    assert corpus.text == text and corpus.sha256 == Corpus(text=text, name="", origin="").sha256
    # It cannot be had by other ways either: it would train with NULs.
    assert refused(text.encode(encoding), errors="replace") == message
    Path("it").write_bytes("\ufeff".encode(encoding) + text.encode(encoding))
    assert (read("it", encoding=encoding).text or "").removeprefix("\ufeff") == text


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "shift-jis", "utf-8", "utf-7"])
def test_an_encoding_is_read_in_pieces(encoding, monkeypatch):
    text = CHINESE.replace("势", "の") * 3 if encoding != "shift-jis" else JAPANESE * 3
    Path("it").write_bytes(text.encode(encoding))
    monkeypatch.setattr("charrnn_text.files._BEGINNING", 0)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("charrnn_text.archives._CHUNK", size)
        assert read("it", encoding=encoding).text == text


def test_a_byte_that_is_not_of_the_encoding_is_located():
    message = refused("é".encode("cp1252") * 10 + b"\x81", encoding="cp1252")
    assert "is not valid cp1252: byte 0x81 at offset 10" in message
    assert "is not valid gb18030" in refused(CHINESE.encode("gb18030")[:-2],
                                                       encoding="gb18030")  # fmt: skip
    assert "utf-16: " in refused("ho".encode("utf-16le"), encoding="utf-16")
    Path("it").write_bytes(b"a\x81b")
    assert read("it", encoding="cp1252", errors="replace").text == "a\ufffdb"


def test_a_stray_byte_in_utf_8_is_no_other_encoding():
    message = refused("größer über Straße".encode() + b"\xe9 ho")
    assert "the rest looks like it" in message and "--source-opt errors=replace" in message
    assert "encoding=" not in message


def kinds() -> list[tuple[bytes, str]]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "ho ho ho")
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    with sqlite3.connect("db") as base:
        base.execute("create table t (c text)")
    base.close()
    return [
        (b"%PDF-1.4\nall of it is ASCII", "pdftotext FILE - | charrnn run --source -"),
        (gzip.compress(b"ho"), "gunzip -c < FILE | charrnn run --source -"),
        (lzma.compress(b"ho"), "xz -dc < FILE |"),
        (packed.getvalue(), "unzip -p FILE |"),
        (book.getvalue(), "pandoc -t plain FILE |"),
        (Path("db").read_bytes(), "sqlite3 FILE 'select"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "an image (PNG)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image (JPEG)"),
        (b"GIF89a\1\0\1\0", "an image (GIF)"),
        (b"\x7fELF\2\1\1\0", "a program"),
        (b"notes.txt" + bytes(248) + b"ustar\x0000", "tar -xOf FILE |"),
        (b"CRNN\1\0\0\0", "a checkpoint of charrnn"),
    ]


def test_files_that_are_no_text_are_known_by_their_marks():
    for data, expected in kinds():
        for options in ({}, {"encoding": "latin-1"}, {"errors": "replace"}):
            message = refused(data, **options)
            assert expected in message and "iconv" not in message
        assert read("it", errors="escape").text  # who wants every byte gets it


def test_other_binary_data_is_refused_and_text_is_not():
    assert "full of control characters" in refused(bytes(range(128)) * 10)
    for text in (b"MZ, he wrote.", b"PK\nID3 RIFF", b"\x1b[31mred\x1b[0m\t\f\r\n", b"GIF89a", b""):
        assert kind_of_file(text) is None and not is_binary(text) and not wide_encoding(text)
    assert likely_encoding(bytes(range(128, 256))) is None
    assert "does not look like text; if it is" in refused(bytes(range(128, 256)))


def test_some_nul_characters_are_told():
    notes = []
    Path("it").write_bytes(b"one two three four five six\0" * 3)
    assert (read("it", notes.append).text or "").count("\0") == 3
    [line] = notes
    assert "3 of the characters are NUL" in line and "encoding=NAME" in line
    read("it", notes.append, errors="escape")
    assert len(notes) == 1


@pytest.mark.parametrize("name", ["utf-61", "base64", "rot13", "", "a\0b", "é", "x" * 5000])
def test_a_name_that_is_no_encoding(name):
    with pytest.raises(OptionError, match="unknown text encoding") as caught:
        read_options(FileOptions, {"encoding": name}, "source 'file'")
    assert len(str(caught.value)) < 400


def test_an_encoding_and_every_byte_exclude_each_other():
    with pytest.raises(OptionError, match="works with utf-8 only, but encoding is 'utf-16'"):
        read_options(FileOptions, {"encoding": "utf-16", "errors": "escape"}, "source 'file'")
    assert FileOptions(encoding="UTF8", errors="escape")


def test_other_texts_that_are_read_get_the_advice_too():
    """Prompts and the like have no options, so only what converts them is named."""
    with pytest.raises(CorpusError) as caught:
        decode_text(codecs.BOM_UTF16_LE + "ho".encode("utf-16le"), "the prompt")
    assert "iconv -f utf-16 -t utf-8" in str(caught.value) and "-opt" not in str(caught.value)
