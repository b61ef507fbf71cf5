"""Text that a model wrote, made safe to show on a terminal."""

import unicodedata

_SAFE = "\n\t"


def printable(text: str) -> str:
    """The text with control characters escaped, so that it cannot move the cursor or ring.

    >>> printable("ho\\x1b[2J ho\\n")
    'ho\\\\x1b[2J ho\\n'
    """
    return "".join(
        character
        if character in _SAFE or unicodedata.category(character) not in ("Cc", "Cs")
        else repr(character)[1:-1]
        for character in text
    )
