"""Texts that a program has, in place of a source."""

import os
from collections.abc import Sequence
from typing import Any

from charrnn_core.errors import CorpusError
from charrnn_core.registry.spec import Ref, source_ref
from charrnn_core.text.corpus import Corpus

SOURCE = "text"
"""The source that a run on such a text records."""

_ENDS = {"lines": "\n", "blank": "\n\n", "\x1e": "\x1e"}
"""What may end a document, by the setting `documents`."""


def is_text(source: Any) -> bool:
    """Return whether a source is a text itself: a corpus, documents, or a string of several lines.

    >>> is_text("gutenberg:520"), is_text("Ho ho ho.\\nHo."), is_text(["ho", "ha"])
    (False, True, True)
    """
    if isinstance(source, str):
        return "\n" in source
    return isinstance(source, Corpus | list | tuple)


def is_file(text: str) -> bool:
    """Return whether a text is also the name of a file, which may be meant instead.

    >>> is_file("Ho ho ho."), is_file("/dev/null")
    (False, True)
    """
    return not is_text(text) and os.path.exists(text)


def as_source(source: Any) -> Any:
    """Return a text itself, or a string, as a source; leave anything else as it is.

    Raises:
        SourceError: a string looks like a path, but nothing exists there.
    """
    if is_text(source):
        return text_ref(source)
    return source_ref(source) if isinstance(source, str) else source


def text_ref(text: str | Sequence[str] | Corpus) -> Ref:
    """Return a text, or documents, as a source; the run that reads it keeps a copy.

    Raises:
        CorpusError: a document is no string, or no separator is free.

    >>> text_ref(["ho", "ha"]).given.text
    'ho\\nha\\n'
    """
    if isinstance(text, Corpus):
        return Ref(SOURCE, given=text)
    separator = None
    if not isinstance(text, str):
        separator, text = _joined(text)
    about = {"name": SOURCE, "origin": "a text that was given in Python", "documents": separator}
    return Ref(SOURCE, given=Corpus(text=text, once=True, **about))


def _joined(documents: Sequence[str]) -> tuple[str, str]:
    """Return documents as one text, and the setting `documents` that takes it apart."""
    for document in documents:
        if not isinstance(document, str):
            raise CorpusError(f"a document is {document!r}; expected strings")
    for setting, end in _ENDS.items():
        if not any(end in document for document in documents):
            return setting, "".join(document + end for document in documents)
    raise CorpusError(
        "the documents have line feeds, empty lines and the character U+001E, so that nothing can "
        "separate them; join them yourself and set documents to what separates them"
    )
