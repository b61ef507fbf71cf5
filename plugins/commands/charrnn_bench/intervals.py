"""Confidence intervals of a mean over few seeds: Student's t, without a library."""

import math
import statistics
from collections.abc import Sequence

_SHARE = 0.95


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of a mean of independent values; None for one value.

    ``mean -+ t s / sqrt(n)`` with the sample's standard deviation s and Student's t of n - 1
    degrees of freedom.

    >>> low, high = mean_interval([1.0, 2.0, 3.0])
    >>> round(low, 4), round(high, 4)
    (-0.4841, 4.4841)
    """
    if len(values) < 2:
        return None
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    reach = student(len(values) - 1) * deviation / math.sqrt(len(values))
    return mean - reach, mean + reach


def student(degrees: int) -> float:
    """Return the t such that 95 % of Student's distribution lies between -t and t.

    Arguments:
        degrees: degrees of freedom, at least 1.

    >>> [round(student(degrees), 4) for degrees in (1, 2, 4, 10, 1000)]
    [12.7062, 4.3027, 2.7764, 2.2281, 1.9623]
    """
    low, high = 0.0, 1.0
    while _within(high, degrees) < _SHARE:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _within(middle, degrees) < _SHARE else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """Return the share of the distribution between -t and t.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle, odd = math.atan2(t, math.sqrt(degrees)), degrees % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= (power + 1) / (power + 2) * math.cos(angle) ** 2
    share = math.sin(angle) * total
    return (angle + share) * 2 / math.pi if odd else share
