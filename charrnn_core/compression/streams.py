"""A text cut into streams that are coded side by side, each as if it were alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Ids


@dataclass(frozen=True)
class Streams:
    """Stretches of a text, one after another, the first ones a symbol longer if need be.

    Arguments:
        count: B, how many there are.
        symbols: the length of the text.

    >>> streams = Streams(count=2, symbols=5)
    >>> given, present = streams.columns(np.arange(5), 1, 3)
    >>> given.tolist(), present.tolist()
    ([[1, 4], [2, 0]], [[True, True], [True, False]])
    """

    count: int
    symbols: int

    @classmethod
    def fitting(cls, symbols: int, each: int, most: int) -> "Streams":
        """Return as many streams as suit a text: a power of two.

        Arguments:
            symbols: the length of the text.
            each: how many symbols are worth a stream, which begins without any context.
            most: the most streams.

        >>> [Streams.fitting(n, 16_000, 64).count for n in (0, 20_000, 100_000, 10_000_000)]
        [1, 1, 4, 64]
        """
        count = min(max(1, symbols // each), most)
        return cls(1 << (count.bit_length() - 1), symbols)

    @property
    def steps(self) -> int:
        """Return the length of the longest."""
        return -(-self.symbols // self.count)

    def columns(self, ids: Ids, begin: int, end: int) -> tuple[Any, npt.NDArray[np.bool_]]:
        """Return the symbols of all streams at some steps, ``int32[T,B]``, and where there are any.

        Arguments:
            ids: those of the text.
            begin, end: the steps, which may go on beyond the longest stream.
        """
        places, present = self._places(begin, end)
        given = np.zeros(places.shape, np.int32)
        given[present] = ids[places[present]]
        return given, present

    def put(self, ids: Ids, begin: int, columns: npt.NDArray[Any]) -> None:
        """Write what `columns` has read to where it was, from a step on."""
        places, present = self._places(begin, begin + len(columns))
        ids[places[present]] = columns[present]

    def present(self, begin: int, end: int) -> npt.NDArray[np.bool_]:
        """Return where there are symbols at some steps: ``bool[T,B]``."""
        return self._places(begin, end)[1]

    def _places(self, begin: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        each, longer = divmod(self.symbols, self.count)
        number = np.arange(self.count)
        first = number * each + np.minimum(number, longer)
        steps = np.arange(begin, end)[:, None]
        return first + steps, steps < each + (number < longer)
