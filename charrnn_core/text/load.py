"""From a source spec to a corpus."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.blame import Call
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CorpusError
from charrnn_core.files.atomic import cache_directory
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref, source_ref
from charrnn_core.terminal import to_stderr
from charrnn_core.text.corpus import Corpus, Known, SourceContext
from charrnn_core.text.kept import read_kept

_MUST = (
    "its target is called as target(argument, options, context) and must return a Corpus of a str, "
    "or of pieces of one"
)


def read_corpus(
    source: Ref | str,
    registry: Registry | None = None,
    note: Callable[[str], None] = to_stderr,
    known: Known | None = None,
) -> Corpus:
    """Read the text that a source spec, or an existing path, names.

    ``CHARRNN_OFFLINE=1`` forbids the network; ``CHARRNN_CACHE`` says where downloads are kept.

    Arguments:
        known: the text that is wanted, if it was read before.

    Raises:
        SourceError, CorpusError: the text cannot be had, or is empty.

    >>> read_corpus("python-docs").name
    'python-docs'
    """
    registry = registry or Registry.installed()
    ref = source_ref(source) if isinstance(source, str) else source
    options = registry.options("source", ref)
    offline = os.environ.get("CHARRNN_OFFLINE", "0") not in ("", "0")
    context = SourceContext(cache=cache_directory(), offline=offline, note=note, known=known)
    target = registry.load("source", ref)
    call = Call(f"source {ref.use!r}", target, _MUST)
    with kept_clean(), call:
        corpus = target(ref.argument, options, context)
    if not isinstance(corpus, Corpus):
        raise call.fault(f"gave {type(corpus).__name__}; expected a Corpus")
    with call:  # its pieces are made by the author's code, too
        characters = corpus.characters
    if not characters:
        raise CorpusError(f"{corpus.origin} is empty; expected some text")
    return corpus


def read_again(
    source: Ref,
    registry: Registry | None = None,
    note: Callable[[str], None] = to_stderr,
    *,
    record: Mapping[str, Any],
    directory: Path | None = None,
) -> Corpus:
    """Read the text of a run once more: what the run has kept, or else what its source gives now.

    It may have changed since; who cares compares digests.

    Arguments:
        source: what the run names as its source.
        record: what its checkpoint says of the text.
        directory: the directory of the run, if there is one.

    Raises:
        SourceError, CorpusError: the text cannot be had, or is empty.
    """
    kept = None if directory is None else read_kept(directory, record, note)
    if kept is not None:
        return kept
    return read_corpus(source, registry, note, Known(str(record["origin"]), str(record["sha256"])))
