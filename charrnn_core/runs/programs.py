"""What a model keeps of its work: compiled programs and samplers, the most recently used."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")

_MOST = 16


class Programs:
    """A small cache that threads can share; a copy, also by `pickle`, begins empty.

    Arguments:
        most: how many are kept; the one that has not been used for longest makes way.

    >>> programs = Programs(most=2)
    >>> [programs.get(key, lambda: key.upper()) for key in "abca"]
    ['A', 'B', 'C', 'A']
    >>> programs.get("c", lambda: "made anew"), programs.get("b", lambda: "made anew")
    ('C', 'made anew')
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, object] = OrderedDict()
        # Made by one thread at a time, and what makes one may need another.
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key; if nothing is, make and keep it."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[key]  # pyright: ignore[reportReturnType]  # as `make` returned it

    def __reduce__(self) -> tuple[type["Programs"], tuple[int]]:
        return Programs, (self._most,)
