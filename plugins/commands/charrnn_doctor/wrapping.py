"""What is around a text, and how to read it without."""

from collections.abc import Iterator

from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.text.wrappers import Wrapper, find_wrapper
from charrnn_doctor.examined import Examined
from charrnn_doctor.finding import Finding

_EXAMPLES = 3


def without_wrapper(text: str, source: Ref, registry: Registry) -> tuple[Examined, list[Finding]]:
    """Return a text without its wrapper, and the finding that it has one."""
    wrapper = find_wrapper(text, registry)
    if wrapper is None:
        return Examined(text), []
    return Examined.without(text, wrapper.spans), [_finding(text, wrapper, source)]


def _finding(text: str, wrapper: Wrapper, source: Ref) -> Finding:
    lines = ";".join(f"{first},{last}p" for first, last in _kept_lines(text, wrapper))
    cutting = f"cut it, or read the book from there, with --source {wrapper.source}:NUMBER"
    if source.use == wrapper.source:
        cutting = f"let {source.use} cut it: leave out {', '.join(source.options) or 'its options'}"
    whole = Examined(text)
    return Finding(
        name="wrapper",
        what=f"{wrapper.characters:,} characters ({wrapper.characters / len(text):.1%}) are the "
        f"header and licence that {wrapper.source} puts around a text",
        share=wrapper.characters / len(text),
        examples=tuple(whole.quote(start, end) for start, end in wrapper.spans[:_EXAMPLES]),
        remedy=cutting,
        filters=(f"sed -n '{lines}'",),
    )


def _kept_lines(text: str, wrapper: Wrapper) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of what is left, each stretch of it."""
    ends = [0, *(place for span in wrapper.spans for place in span), len(text)]
    for start, end in zip(ends[::2], ends[1::2], strict=True):
        if kept := text[start:end].strip("\n"):
            first = text.index(kept, start, end)
            number = text.count("\n", 0, first) + 1
            yield number, number + kept.count("\n")
