"""Which units a page has the values of, and which of them are alike."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charrnn_core.inspection.ranking import correlations
from charrnn_core.inspection.reading import ReadText
from charrnn_inspect.analysis import Followed

LIKE = 5
"""How many units are named that are like a unit."""


def choose_units(read: ReadText, followed: Sequence[Followed], count: int) -> list[int]:
    """Return the units that a page shows, in their order.

    Those that follow a feature best come first, feature by feature, the best of all before the
    second best; then, from every leaf in turn, those that use most of their range:
    ``std(u) / max |u|``.
    """
    wanted = [row.best[rank][0] for rank in range(_ranks(followed)) for row in followed]
    spread = read.values.std(axis=0) / np.maximum(np.abs(read.values).max(axis=0), 1e-30)
    leaves: dict[str, list[int]] = {}
    for unit in np.argsort(-spread, kind="stable"):
        leaves.setdefault(read.units[unit].leaf, []).append(int(unit))
    longest = max(map(len, leaves.values()), default=0)
    wanted += [leaf[i] for i in range(longest) for leaf in leaves.values() if i < len(leaf)]
    return sorted(list(dict.fromkeys(wanted))[:count])


def _ranks(followed: Sequence[Followed]) -> int:
    return min((len(row.best) for row in followed), default=0)


def most_alike(values: npt.NDArray[np.float32]) -> list[list[tuple[int, float]]]:
    """Return for each unit of ``[T,units]`` those with the largest |r|, each with its r.

    >>> t = np.arange(5, dtype=np.float32)
    >>> most_alike(np.stack([t, -t, t**2], axis=1))[0]
    [(1, -1.0), (2, 0.959)]
    """
    r = correlations(values, values)
    order = np.argsort(-np.abs(r), axis=1)
    return [
        [(int(other), round(float(r[unit, other]), 3)) for other in row if other != unit][:LIKE]
        for unit, row in enumerate(order)
    ]
