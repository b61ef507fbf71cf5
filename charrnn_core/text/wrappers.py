"""What a publisher has put around a text, found by the sources that know that publisher."""

from dataclasses import dataclass

from charrnn_core.blame import Call
from charrnn_core.registry.descriptors import SourcePlugin
from charrnn_core.registry.registry import Registry

_MUST = "its wrapper is called with a text and must return places within it, [(start, end), ...]"


@dataclass(frozen=True)
class Wrapper:
    """What is around a text.

    Arguments:
        source: the name of the source that would cut it.
        spans: where it is, in order.
    """

    source: str
    spans: tuple[tuple[int, int], ...]

    @property
    def characters(self) -> int:
        """How many characters it has."""
        return sum(end - start for start, end in self.spans)


def find_wrapper(text: str, registry: Registry) -> Wrapper | None:
    """Ask every source whether a text has the wrapper that it knows; return the largest.

    Raises:
        PluginError: a source cannot be asked; the message names it.

    >>> find_wrapper("*** START OF THE PROJECT GUTENBERG EBOOK ***\\n\\nJoy", Registry.installed())
    Wrapper(source='gutenberg', spans=((0, 46),))
    """
    found = [Wrapper(plugin.name, told) for plugin in registry.offered(SourcePlugin)
             if (told := wrapper_spans(plugin, text))]  # fmt: skip
    return max(found, key=lambda wrapper: wrapper.characters, default=None)


def wrapper_spans(plugin: SourcePlugin, text: str) -> tuple[tuple[int, int], ...]:
    """Ask one source where its wrapper is in a text; it may know of none.

    Raises:
        PluginError: it cannot be asked, or what it returns are no places within the text.
    """
    if plugin.wrapper is None:
        return ()
    target = plugin.imported("wrapper", plugin.wrapper)
    call = Call(f"source {plugin.name!r}", target, _MUST)
    with call:
        spans = tuple((int(start), int(end)) for start, end in target(text))
    ends = [0, *(place for span in spans for place in span), len(text)]
    if ends != sorted(ends):
        raise call.fault(f"returned {spans!r} for a text of {len(text)} characters")
    return spans
