"""Plain data: what a checkpoint stores and returns unchanged. No jax, no msgpack."""

import reprlib
from collections.abc import Iterator
from typing import Any

_DEEPEST = 32
_INTEGERS = range(-(2**63), 2**64)

EXPECTED = (
    "expected None, truth values, numbers, text, and lists and tables of these, with text as keys"
)


def plain(value: Any, most_bytes: int) -> Any:
    """Copy a value that consists of plain data; a tuple becomes a list.

    Arguments:
        value: data from a plugin, to be stored.
        most_bytes: roughly how large it may be.

    Raises:
        ValueError: something in it is not plain data, or it is too large.

    >>> plain({"bytes": 3, "best": (1, 0.5)}, 100)
    {'bytes': 3, 'best': [1, 0.5]}
    """
    return _Copy(most_bytes).of(value, 0)


class _Copy:
    def __init__(self, most_bytes: int) -> None:
        self._most = self._left = most_bytes

    def of(self, value: Any, depth: int) -> Any:
        """Copy a value that is nested this deep."""
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} deep; {EXPECTED}")
        self._spend(9)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self._integer(int(value))
        if isinstance(value, float):
            return float(value)
        if isinstance(value, str):
            return self._text(str.__str__(value))  # the text itself even for a member of an Enum
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return dict(self._items(value, depth))
        raise ValueError(f"{_shown(value)} is not plain data; {EXPECTED}")

    def _items(self, table: dict[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
        for key, value in table.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {_shown(key)} is not text; {EXPECTED}")
            yield self.of(key, depth + 1), self.of(value, depth + 1)

    def _integer(self, number: int) -> int:
        if number not in _INTEGERS:
            raise ValueError(
                f"it has a {number.bit_length()}-bit integer; expected at most 64 bits"
            )
        return number

    def _text(self, text: str) -> str:
        try:
            self._spend(len(text.encode()))
        except UnicodeEncodeError as error:
            raise ValueError(f"{_shown(text)} is not valid Unicode: it has a surrogate") from error
        return text

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"it takes more than {self._most:,} bytes; keep large data in a file")


def _shown(value: Any) -> str:
    """Return a value, shortened, and its type."""
    return f"{reprlib.repr(value)} ({type(value).__name__})"
