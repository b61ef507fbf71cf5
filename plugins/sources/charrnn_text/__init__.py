"""The corpus sources ``file``, ``csv``, ``jsonl`` and ``python-docs``: text on this machine."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import SourcePlugin, hookimpl, opt
from charrnn_core.text.decode import check_encoding


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What a user can set of a file."""

    newlines: Literal["normalise", "keep"] = opt(
        "normalise", help="read line ends CR LF and CR as LF, or keep them"
    )
    errors: Literal["strict", "replace", "escape"] = opt(
        "strict",
        help="refuse what is not of the encoding, read it as U+FFFD, or keep every byte (of UTF-8)",
    )
    encoding: str = opt(
        "utf-8",
        help="how its bytes are to be read: utf-16, cp1252, gb18030, ..., as Python names it",
    )

    def __post_init__(self) -> None:
        check_encoding(self.encoding, self.errors)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """What a user can set of a text that is made of rows."""

    documents: bool = opt(True, help="start afresh after each row, unless the run says otherwise")


@dataclass(frozen=True, kw_only=True)
class CSVOptions(RowOptions):
    """What a user can set of a table of comma-separated values."""

    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe"] = opt(
        "auto", help="what stands between columns; auto is a tab in .tsv files, else a comma"
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
        name="python-docs",
        target="charrnn_text.python_docs:python_docs",
        summary="the language reference that ships inside Python; needs no download",
    )
