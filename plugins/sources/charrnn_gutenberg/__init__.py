"""The corpus source ``gutenberg:N``: book number N of Project Gutenberg."""

from dataclasses import dataclass

from charrnn_core import SourcePlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class GutenbergOptions:
    """Options of the source ``gutenberg``."""

    strip: bool = opt(True, help="cut Project Gutenberg's header and licence from the text")
    refresh: bool = opt(False, help="ask the mirror whether its copy is newer than the cached one")


@hookimpl
def charrnn_sources():
    yield SourcePlugin(
        name="gutenberg",
        target="charrnn_gutenberg.source:gutenberg",
        options=GutenbergOptions,
        wrapper="charrnn_gutenberg.wrapper:find_wrapper",
        summary="a book of Project Gutenberg by its number, such as gutenberg:520",
    )
