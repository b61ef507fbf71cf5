"""Find a text that was read before: at the path given now, or at the path it had then."""

import dataclasses
import os
from collections.abc import Callable

from charrnn_core.errors import CharRNNError, CorpusError, SourceError
from charrnn_core.text.corpus import Corpus, SourceContext


def absolute(argument: str) -> str:
    """Return the absolute form of a path.

    >>> absolute("/books/../a.txt")
    '/a.txt'
    """
    return os.path.abspath(os.path.expanduser(argument))


def wherever(
    source: str, argument: str, context: SourceContext, read: Callable[[str], Corpus]
) -> Corpus:
    """Read the text at a path; if it was read before, try the path it had then as well.

    Arguments:
        source: the name of the source.
        argument: the path as given.
        context: names the text that was read before, if any.
        read: reads the text at a path.

    Raises:
        SourceError, CorpusError: it is at neither path; the message names both.
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
                context.note(f"note: reading the text from {place}, where the run found it before")
            return dataclasses.replace(corpus, name=f"{source}:{argument}")
        others.append(corpus)
    if others:
        return others[0]  # it has changed; the caller compares digests
    first, *then = map(str, errors)
    raise type(errors[0])(
        "; ".join([first, *(f"nor where the run found it before: {line}" for line in then)])
        + "; restore it, or say where it is now with --source"
    )
