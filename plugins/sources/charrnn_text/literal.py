"""The source ``text``."""

from charrnn_core import Corpus, NoOptions, SourceContext, SourceError


def literal(argument: str | None, options: NoOptions, context: SourceContext) -> Corpus:
    """Return the argument as a text.

    Raises:
        SourceError: there is none, as for a run whose text was given in Python.
    """
    if not argument:
        raise SourceError(
            "source 'text' has no text after its colon; if the text was given in Python and the "
            "run kept no copy of it, give it again: source=..."
        )
    return Corpus(text=argument, name="text", origin="the text that was given")
