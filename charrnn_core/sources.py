"""From a source spec to a corpus."""

import os
from collections.abc import Callable

from charrnn_core.corpus import Corpus, SourceContext
from charrnn_core.errors import CorpusError, PluginError
from charrnn_core.registry import Registry
from charrnn_core.run import source_ref
from charrnn_core.spec import Ref
from charrnn_core.stdout import kept_clean
from charrnn_core.storage import cache_directory
from charrnn_core.terminal import to_stderr


def read_corpus(
    source: Ref | str, registry: Registry | None = None, note: Callable[[str], None] = to_stderr
) -> Corpus:
    """Read the text that a source spec, or an existing path, names.

    ``CHARRNN_OFFLINE=1`` forbids the network; ``CHARRNN_CACHE`` says where downloads are kept.

    Raises:
        SourceError, CorpusError: the text cannot be had, or is empty.

    >>> read_corpus("python-docs").name
    'python-docs'
    """
    registry = registry or Registry.installed()
    ref = source_ref(source) if isinstance(source, str) else source
    options = registry.options("source", ref)
    offline = os.environ.get("CHARRNN_OFFLINE", "0") not in ("", "0")
    context = SourceContext(cache=cache_directory(), offline=offline, note=note)
    target = registry.load("source", ref)
    with kept_clean():
        corpus = target(ref.argument, options, context)
    if not isinstance(corpus, Corpus):
        raise PluginError(f"source {ref.use!r} gave {type(corpus).__name__}; expected a Corpus")
    if not corpus.characters:
        raise CorpusError(f"{corpus.origin} is empty; expected some text")
    return corpus
