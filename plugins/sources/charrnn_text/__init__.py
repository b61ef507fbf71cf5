"""The corpus sources ``file``, ``csv``, ``jsonl``, ``text``, ``python-docs``: text that is here."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import SourcePlugin, hookimpl, opt
from charrnn_core.text.decode import check_encoding


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Options of the source ``file``."""

    newlines: Literal["normalise", "keep"] = opt(
        "normalise", help="read line ends CR LF and CR as LF, or keep them"
    )
    errors: Literal["strict", "replace", "escape"] = opt(
        "strict",
        help="refuse invalid bytes, read them as U+FFFD, or keep every byte (with utf-8 only)",
    )
    encoding: str = opt(
        "utf-8",
        help="the encoding, by Python's name: utf-16, cp1252, gb18030, ...",
    )

    def __post_init__(self) -> None:
        check_encoding(self.encoding, self.errors)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Options of the sources that read rows."""

    documents: bool = opt(True, help="make each row a document, unless the run sets documents")


@dataclass(frozen=True, kw_only=True)
class CSVOptions(RowOptions):
    """Options of the source ``csv``."""

    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe"] = opt(
        "auto", help="the character between columns; auto is a tab in .tsv files, else a comma"
    )


@hookimpl
def charrnn_sources():
    yield SourcePlugin(
        name="file",
        target="charrnn_text.files:file",
        options=FileOptions,
        summary="a file, a directory, a pattern such as file:corpus/*.txt, or - for standard input",
    )
    yield SourcePlugin(
        name="csv",
        target="charrnn_text.tables:csv",
        options=CSVOptions,
        summary="a column of a table, each row a document: csv:FILE#COLUMN",
    )
    yield SourcePlugin(
        name="jsonl",
        target="charrnn_text.tables:jsonl",
        options=RowOptions,
        summary="a field of JSON Lines, each object a document: jsonl:FILE#FIELD",
    )
    yield SourcePlugin(
        name="text",
        target="charrnn_text.literal:literal",
        summary="the text itself, after the colon; in Python also RunConfig(source=...)",
    )
    yield SourcePlugin(
        name="python-docs",
        target="charrnn_text.python_docs:python_docs",
        summary="the language reference that ships inside Python; needs no download",
    )
