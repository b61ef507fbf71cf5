"""The corpus sources ``https://...`` and ``http://...``: a text on the web."""

from dataclasses import dataclass

from charrnn_core import SourcePlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """Options of the sources ``https`` and ``http``."""

    refresh: bool = opt(False, help="ask the server whether its copy is newer than the cached one")
    encoding: str = opt(
        "", help="the encoding, such as latin1; by default UTF-8, or what the server declares"
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
