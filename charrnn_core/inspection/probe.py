"""A linear probe: what all units together know of a feature of the text."""

import numpy as np

from charrnn_core.inspection.ranking import Columns, Matrix, correlations, where_finite

_STRENGTHS = np.logspace(-8, 2, 21)
"""The penalties that are tried, in terms of the largest eigenvalue of the units' covariance."""


def probe(units: Matrix, features: Matrix) -> Columns:
    """Return how well a linear function of all units predicts each feature: R, ``float64[F]``.

        minimise  |f - a - Z w|^2 + k |w|^2,  R = corr(f, a + Z w)

    Z are the units, standardised. a and w are found on the first half of the text, and R on the
    second, so that many units do not help by their number. k is the one of 21 with the least
    generalised cross-validation, ``mean(residual^2) / (1 - df / n)^2``, on the first half.

    R is NaN where the feature does not change in one of the halves.

    Sources: Alain and Bengio 2016, Understanding intermediate layers using linear classifier
    probes, arXiv 1610.01644; Golub, Heath and Wahba 1979, Generalized Cross-Validation as a Method
    for Choosing a Good Ridge Parameter.

    >>> units = np.random.default_rng(0).normal(size=(200, 5))
    >>> probe(units, units @ np.arange(10).reshape(5, 2)).round(3).tolist()
    [1.0, 1.0]
    """
    half, units = len(units) // 2, where_finite(units)
    early, late = units[:half].astype(np.float64), units[half:].astype(np.float64)
    centre, spread = early.mean(axis=0), early.std(axis=0)
    spread[spread == 0] = np.inf  # a unit that does not change says nothing
    early, late = (early - centre) / spread, (late - centre) / spread
    targets = features[:half].astype(np.float64)
    centred = targets - targets.mean(axis=0)
    rotated, singular, directions = np.linalg.svd(early, full_matrices=False)
    seen = rotated.T @ centred
    found = np.full(features.shape[1], np.nan)
    for column, feature in enumerate(features[half:].T):
        if np.ptp(feature) and np.ptp(targets[:, column]):
            rest = (centred[:, column] ** 2).sum() - (seen[:, column] ** 2).sum()
            penalty = _least_gcv(singular, seen[:, column], max(0.0, rest), half)
            weights = directions.T @ (singular / (singular**2 + penalty) * seen[:, column])
            found[column] = correlations((late @ weights)[:, None], feature[:, None])[0, 0]
    return found


def _least_gcv(singular: Columns, seen: Columns, rest: float, count: int) -> float:
    """Return the penalty with the least generalised cross-validation.

    Arguments:
        singular: the singular values of Z.
        seen: the feature in the directions that belong to them.
        rest: the square of what of the feature lies in no such direction.
        count: n.
    """
    penalties = _STRENGTHS * max(singular[0] ** 2, np.finfo(np.float64).tiny)
    left = penalties[:, None] / (singular**2 + penalties[:, None])
    squared = (left * seen) ** 2
    freedom = (1 - left).sum(axis=1) + 1  # and the mean
    scores = (squared.sum(axis=1) + rest) / np.maximum(count - freedom, 1e-9) ** 2
    return float(penalties[scores.argmin()])
