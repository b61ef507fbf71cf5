"""Which units go with a feature of the text, and how well units would do so by chance."""

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.floating[Any]]
Columns = npt.NDArray[np.float64]

SHIFTS = 19
"""With so many shifts, a correlation above the best under all of them is one chance in twenty."""


def correlations(units: Matrix, features: Matrix) -> Columns:
    """Return Pearson's r of every unit with every feature; 0 for one that never changes.

        r = mean(z(u) z(f)),  z(a) = (a - mean(a)) / std(a)

    Arguments:
        units: ``[T,U]``.
        features: ``[T,F]``.

    Returns:
        ``float64[U,F]``.

    >>> correlations(np.array([[0.0], [1], [2]]), np.array([[1.0, 5], [0, 5], [-1, 5]])).round(3)
    array([[-1.,  0.]])
    """
    return standardised(units).T @ standardised(features) / max(1, len(units))


def best_by_chance(units: Matrix, features: Matrix) -> Columns:
    """Return for every feature the largest |r| of any unit with the feature shifted: ``[F]``.

    Among many units some go with anything that changes slowly, so an |r| has to be judged beside
    the best that the same search finds where there is nothing to be found. The feature is moved
    round the text, its end to the beginning, by ``k T / 20`` characters for k = 1 .. 19: it keeps
    its own ups and downs, but has nothing to do with what is read. The shifts are as far from one
    another and from 0 as they can be, so that none is near the true place. If all twenty places
    were alike, the true one would be the best in one case of twenty: an |r| above what is returned
    has p = 0.05, for each feature by itself.

    Sources: circular shifts, as for neurons: Harris 2020, Nonsense correlations in neuroscience;
    p from the rank among shifts: Phipson and Smyth 2010, Permutation p-values should never be zero.

    >>> text = np.random.default_rng(0).normal(size=(400, 3))
    >>> bool(0.02 < best_by_chance(text, text)[0] < 0.3)
    True
    """
    unit_scores, feature_scores = standardised(units), standardised(features)
    length, best = len(unit_scores), np.zeros(feature_scores.shape[1])
    for k in range(1, SHIFTS + 1):
        shifted = np.roll(feature_scores, k * length // (SHIFTS + 1), axis=0)
        found = np.abs(unit_scores.T @ shifted) / max(1, length)
        best = np.maximum(best, found.max(axis=0, initial=0.0))
    return best


def standardised(columns: Matrix) -> Columns:
    """Return columns with mean 0 and deviation 1; 0 for those that never change or overflow."""
    columns = where_finite(columns)
    centred = columns.astype(np.float64)
    centred -= centred.mean(axis=0)
    deviation = np.sqrt((centred**2).mean(axis=0))
    # What rounding leaves of a constant is not a deviation.
    size = np.abs(columns).max(axis=0, initial=0.0) * np.finfo(np.float64).eps * len(columns)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > size)


def where_finite(columns: Matrix) -> Matrix:
    """Return columns with zeros in the place of those that have infinities, or no numbers."""
    return np.where(np.isfinite(columns).all(axis=0), columns, 0)
