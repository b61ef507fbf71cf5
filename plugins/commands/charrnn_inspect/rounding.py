"""Numbers as a page carries them: rounded to as few levels as there are colours."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEVELS = 31
"""A colour has so many levels to either side; nobody tells more apart."""

FAINTEST = 15
"""How many levels a dependence has."""


class Levels(NamedTuple):
    """Values as ``origin + scale levels / 31``.

    Fields:
        levels: ``int8[T]``.
        origin: 0; or the mean, of a unit that takes one sign only.
        scale: how far the values go from there.
    """

    levels: npt.NDArray[np.int8]
    origin: float
    scale: float


def as_levels(values: npt.NDArray[np.float32]) -> Levels:
    """Round the values of a unit, ``[T]``; what is not finite becomes the origin.

    A unit that takes both signs is seen from 0. One that is always positive, as those of a minGRU
    are, or always negative, would hardly change colour: it is seen from its mean.

    >>> as_levels(np.array([-1, 0.5, 0.0], np.float32))
    Levels(levels=array([-31,  16,   0], dtype=int8), origin=0.0, scale=1.0)
    >>> as_levels(np.array([1, 2, 3], np.float32))
    Levels(levels=array([-31,   0,  31], dtype=int8), origin=2.0, scale=1.0)
    """
    seen = values[np.isfinite(values)].astype(np.float64)
    if not len(seen):
        return Levels(np.zeros(len(values), np.int8), 0.0, 0.0)
    both = seen.min() < 0 < seen.max()
    origin = 0.0 if both or not np.ptp(seen) else float(seen.mean())
    away = np.where(np.isfinite(values), values.astype(np.float64) - origin, 0.0)
    scale = float(np.abs(away).max())
    levels = np.rint(away / (scale or 1.0) * LEVELS).astype(np.int8)
    return Levels(levels, origin, scale)


def as_shades(depends: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Round dependences, ``[T,back]``, to shares of the largest of their row: roots, 0 to 15.

    >>> as_shades(np.array([[1, 0.25, 0], [0, 0, 0]], np.float32)).tolist()
    [[15, 8, 0], [0, 0, 0]]
    """
    finite = np.nan_to_num(depends.astype(np.float64), posinf=0.0)
    largest = finite.max(axis=1, keepdims=True, initial=0.0)
    shares = np.divide(finite, largest, out=np.zeros_like(finite), where=largest > 0)
    return np.rint(np.sqrt(shares) * FAINTEST).astype(np.uint8)
