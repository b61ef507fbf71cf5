"""Read the corpus that a source spec names."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from charrnn_core.blame import Call
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CorpusError, expect
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

    ``CHARRNN_OFFLINE=1`` forbids network access; ``CHARRNN_CACHE`` is where downloads are kept.

    Arguments:
        source: a spec such as ``"gutenberg:520"``, or a path.
        registry: the installed plugins; all by default.
        note: called with each line that the user should see.
        known: the text that is wanted, if it was read before.

    Raises:
        SourceError: the text cannot be read.
        CorpusError: it is empty or not text.

    >>> read_corpus("python-docs").name
    'python-docs'
    """
    expect("source", source, str | Ref, "a source spec, such as 'gutenberg:520', or a path")
    ref = source_ref(source) if isinstance(source, str) else source
    if isinstance(ref.given, Corpus):
        return _not_empty(ref.given)
    registry = registry or Registry.installed()
    options = registry.options("source", ref)
    offline = os.environ.get("CHARRNN_OFFLINE", "0") not in ("", "0")
    context = SourceContext(cache=cache_directory(), offline=offline, note=note, known=known)
    target = registry.load("source", ref)
    call = Call(f"source {ref.use!r}", target, _MUST)
    with kept_clean(), call:
        corpus = target(ref.argument, options, context)
    if not isinstance(corpus, Corpus):
        raise call.fault(f"returned {type(corpus).__name__}; expected a Corpus")
    with call:  # the plugin's code produces the pieces, too
        return _not_empty(corpus)


def _not_empty(corpus: Corpus) -> Corpus:
    if not corpus.characters:
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
    """Read the text of a run again: the copy that the run has kept, else from its source.

    It may have changed since; compare digests if that matters.

    Arguments:
        source: the run's source.
        registry, note: as for `read_corpus`.
        record: the checkpoint's record of the text.
        directory: the directory of the run, if there is one.

    Raises:
        SourceError: the text cannot be read.
        CorpusError: it is empty or not text.
    """
    kept = None if directory is None else read_kept(directory, record, note)
    if kept is not None:
        return kept
    return read_corpus(source, registry, note, Known(str(record["origin"]), str(record["sha256"])))
