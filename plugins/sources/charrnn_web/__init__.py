"""The corpus sources ``https://...`` and ``http://...``: a text on the web."""

from dataclasses import dataclass

from charrnn_core import SourcePlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """What a user can set of a text on the web."""

    refresh: bool = opt(False, help="ask the server whether its copy is newer than the cached one")
    encoding: str = opt(
        "", help="what its bytes are, such as latin1; by default UTF-8, or what the server says"
    )


@hookimpl
def charrnn_sources():
    for name in ("https", "http"):
        yield SourcePlugin(
            name=name,
            target=f"charrnn_web.source:{name}",
            options=WebOptions,
            summary=f"a text on the web by its address, such as {name}://example.org/tale.txt",
        )
