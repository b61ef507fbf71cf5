"""Where a text is that was read before: at the place that was typed, or where that was then."""

import dataclasses
import os
from collections.abc import Callable

from charrnn_core.errors import CharRNNError, CorpusError, SourceError
from charrnn_core.text.corpus import Corpus, SourceContext


def absolute(argument: str) -> str:
    """The place that a path means from everywhere.

    >>> absolute("/books/../a.txt")
    '/a.txt'
    """
    return os.path.abspath(os.path.expanduser(argument))


def wherever(
    source: str, argument: str, context: SourceContext, read: Callable[[str], Corpus]
) -> Corpus:
    """The text at a path; one that is wanted again may also be where it was found before.

    Arguments:
        source: the name of the source.
        argument: the path as it was typed.
        read: gives the text at a path.

    Raises:
        SourceError, CorpusError: it is at none of the places; the message names both.
    """
    known = context.known
    if known is None:
        return read(argument)
    places = [argument]
    if os.path.isabs(known.origin) and known.origin != absolute(argument):
        places.append(known.origin)
    others, errors = list[Corpus](), list[CharRNNError]()
    for place in places:
        try:
            corpus = read(place)
        except (SourceError, CorpusError) as error:
            errors.append(error)
            continue
        if corpus.sha256 == known.sha256:
            if place != argument:
                context.note(f"note: the text is read from {place}, where the run found it before")
            return dataclasses.replace(corpus, name=f"{source}:{argument}")
        others.append(corpus)
    if others:
        return others[0]  # it has changed, and whoever wants it compares
    first, *then = map(str, errors)
    raise type(errors[0])(
        "; ".join([first, *(f"nor where the run found it before: {line}" for line in then)])
        + "; put it back, or name the place where it is now with --source"
    )
