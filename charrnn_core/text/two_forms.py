"""Characters that a text writes in two ways: as one, and as a letter with a combining mark.

"é" is U+00E9, or "e" and U+0301; they look the same, and a model has to learn them twice.
"""

import re
import unicodedata
from typing import NamedTuple


class TwoForms(NamedTuple):
    """A character that is written in two ways.

    Fields:
        composed: the character, as one.
        decomposed: as a letter with marks.
        as_one, in_parts: how often a text has each.
        place: where it is first in parts.
    """

    composed: str
    decomposed: str
    as_one: int
    in_parts: int
    place: int


def find_two_forms(text: str, symbols: str) -> list[TwoForms]:
    """Return the characters of a text that it writes in two ways, the commonest first.

    Arguments:
        text: the text.
        symbols: the distinct characters of it.

    >>> text = "caf\\xe9, cafe\\u0301, cafe\\u0301"
    >>> [(found.as_one, found.in_parts) for found in find_two_forms(text, "".join(set(text)))]
    [(1, 2)]
    """
    marks = "".join(filter(unicodedata.combining, symbols))
    if not marks:
        return []
    parts: dict[str, tuple[int, int]] = {}
    for match in re.finditer(f"[^{marks}][{marks}]+", text):
        count, place = parts.get(match[0], (0, match.start()))
        parts[match[0]] = count + 1, place
    found = []
    for decomposed, (count, place) in parts.items():
        composed = unicodedata.normalize("NFC", decomposed)
        if len(composed) == 1 and composed in symbols:
            found.append(TwoForms(composed, decomposed, text.count(composed), count, place))
    return sorted(found, key=lambda form: -min(form.as_one, form.in_parts))
