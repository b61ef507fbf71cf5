"""Names that users import from ``charrnn_core`` say so, wherever they are defined."""

from typing import TypeVar

PACKAGE = "charrnn_core"

Named = TypeVar("Named")


def public(thing: Named) -> Named:
    """Mark a class or function as one of `charrnn_core.__all__`, for tracebacks, reprs and pickles.

    >>> @public
    ... class Corpus:
    ...     pass
    >>> Corpus.__module__
    'charrnn_core'
    """
    thing.__module__ = PACKAGE
    return thing
