"""The corpus sources ``file:PATH`` and ``python-docs``: text that is already on this machine."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import SourcePlugin, hookimpl, opt
from charrnn_core.decoding import check_encoding


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


@hookimpl
def charrnn_sources():
    yield SourcePlugin(
        name="file",
        target="charrnn_text.files:file",
        options=FileOptions,
        summary="a file, a directory, a pattern such as file:corpus/*.txt, or - for standard input",
    )
    yield SourcePlugin(
        name="python-docs",
        target="charrnn_text.python_docs:python_docs",
        summary="the language reference that ships inside Python; needs no download",
    )
