"""Text coloured by how much each character surprised the model. Standard library only."""

import itertools
import math
from collections.abc import Iterable

from charrnn_core.sampling.text import Character
from charrnn_core.terminal import printable

_RAMP = ((1, 245), (2, 71), (4, 178), (6, 208), (math.inf, 196))
"""Bits of surprise below which a colour of the 256 is used: grey, green, yellow, orange, red."""


def coloured(characters: Iterable[Character]) -> str:
    """Colour characters by their surprise, in bits under the model.

    White space gets a background colour, from four bits on.

    >>> coloured([Character("a", -0.1, 0.0), Character("b", -0.2, 0.0), Character("\\n", -3, 0.0)])
    '\\x1b[38;5;245mab\\x1b[0m\\n'
    """
    return "".join(
        _in_colour("".join(printable(character.text) for character in group), code)
        for code, group in itertools.groupby(characters, _code)
    )


def legend() -> str:
    """Return a line that explains the colours."""
    limits = [f"below {limit}" for limit, _ in _RAMP[:-1]] + [f"{_RAMP[-2][0]} or more"]
    shown = [
        _in_colour(limit, f"38;5;{colour}")
        for limit, (_, colour) in zip(limits, _RAMP, strict=True)
    ]
    return f"surprise in bits: {', '.join(shown)}"


def _code(character: Character) -> str:
    bits = -character.model / math.log(2)
    limit, colour = next((entry for entry in _RAMP if bits < entry[0]), _RAMP[-1])
    if not character.text.isspace():
        return f"38;5;{colour}"
    return f"48;5;{colour}" if limit > 4 and character.text != "\n" else ""


def _in_colour(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
