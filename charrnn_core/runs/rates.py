"""Rates of dropout, which a run may leave to its text and length."""

from typing import Final, Literal, TypeAlias

AUTO: Final = "auto"
"""The value of a rate that `charrnn_core.training.regularisation` decides."""

Rate: TypeAlias = float | Literal["auto"]

BOUNDS = {"ge": 0, "lt": 1}
"""The bounds that a rate keeps, for `charrnn_core.registry.options.opt`."""


def decided(rate: Rate) -> float:
    """Return a rate as a number; nothing trains with one that is still left open, so it is 0.

    >>> decided(0.3), decided("auto")
    (0.3, 0.0)
    """
    return 0.0 if rate == AUTO else rate
