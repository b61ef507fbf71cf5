"""The figures of the page, as SVG: bars over spans, and how gates are used."""

from collections.abc import Sequence

from charrnn_core.inspection.gates import CLOSED, OPEN, GateUse
from charrnn_core.page.frame import escaped
from charrnn_inspect.analysis import Span

_BAR, _HEIGHT, _FOOT, _LEFT = 41, 150, 34, 2
_SIDE, _EDGE = 180, 34


def bars(spans: Sequence[Span], title: str, decimals: int = 2) -> str:
    """Draw a bar for each span, over its end, with its value above it and its interval, if any.

    >>> import re
    >>> drawn = bars([Span(1, 1, 3.0), Span(2, 3, 1.0, 0.5)], "Bits")
    >>> 'aria-label="Bits: 1: 3.00, 2 to 3: 1.00"' in drawn
    True
    >>> re.findall("[0-9.]+(?=</text>)", drawn), re.findall(' height="([0-9.]+)"', drawn)
    (['3.00', '1', '1.00', '3'], ['150.0', '50.0'])
    """
    highest = max((span.mean + span.margin for span in spans), default=0.0) or 1.0
    width = _LEFT * 2 + _BAR * len(spans)
    words = [f"{_named(span)}: {span.mean:.{decimals}f}" for span in spans]
    parts = []
    for i, span in enumerate(spans):
        x, height = _LEFT + i * _BAR, _HEIGHT * span.mean / highest
        middle, top = x + _BAR / 2, _FOOT / 2 + _HEIGHT - height
        reach = _HEIGHT * span.margin / highest
        parts += [
            f'<rect x="{x + 4}" y="{top:.1f}" width="{_BAR - 8}" height="{height:.1f}"/>',
            f'<text x="{middle}" y="{top - reach - 4:.1f}">{span.mean:.{decimals}f}</text>',
            f'<text x="{middle}" y="{_HEIGHT + _FOOT - 1}">{span.last}</text>',
        ]
        if reach:
            parts.append(f'<path d="M{middle} {top - reach:.1f}V{top + reach:.1f}"/>')
    return (
        f'<svg class="bars" role="img" aria-label="{escaped(title)}: {escaped(", ".join(words))}" '
        f'viewBox="0 0 {width} {_HEIGHT + _FOOT + 4}" style="max-width:{width}px">'
        f"{''.join(parts)}</svg>"
    )


def gate_plot(use: GateUse) -> str:
    """Draw a dot for each unit of a gate: how often it is closed, and how often open."""
    size = _SIDE + 2 * _EDGE
    dots = "".join(
        f'<circle cx="{_EDGE + shut * _SIDE:.1f}" cy="{_EDGE + (1 - wide) * _SIDE:.1f}" r="2.5"/>'
        for shut, wide in zip(use.closed, use.open, strict=True)
    )
    means = f"closed {use.closed.mean():.0%} of the time, open {use.open.mean():.0%}"
    bottom = _EDGE + _SIDE
    axes = (
        f'<path d="M{_EDGE} {_EDGE}V{bottom}H{bottom}"/><path class="guide" '
        f'd="M{_EDGE} {_EDGE}L{bottom} {bottom}"/>'
        f'<text x="{_EDGE + _SIDE / 2}" y="{size - 6}">share of time below {CLOSED}</text>'
        f'<text transform="translate(12 {_EDGE + _SIDE / 2}) rotate(-90)">above {OPEN}</text>'
        f'<text x="{_EDGE}" y="{bottom + 14}">0</text><text x="{bottom}" y="{bottom + 14}">1</text>'
        f'<text x="{_EDGE - 9}" y="{_EDGE + 4}">1</text>'
    )
    name = escaped(use.name)
    return (
        f'<figure><svg class="gate" role="img" aria-label="Gate {name}: {means}" '
        f'viewBox="0 {_EDGE - 10} {size} {size - _EDGE + 10}">{axes}{dots}</svg>'
        f"<figcaption><code>{name}</code>: {means}</figcaption></figure>"
    )


def _named(span: Span) -> str:
    return str(span.first) if span.first == span.last else f"{span.first} to {span.last}"
