"""The contract of a source: the same text every time, and no surprises on the way to it.

The spec names a text, such as ``gutenberg:520``. It is read as charrnn reads it, so what it
downloads is kept in the user's cache.
"""

import contextlib
import hashlib
import io
import itertools
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError
from charrnn_core.files.atomic import cache_directory
from charrnn_core.registry.descriptors import SourcePlugin
from charrnn_core.testing.auditing import address, changed_paths, listening
from charrnn_core.testing.kit import Kit, NotApplicable, fail
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.subject import Subject
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_core.text.load import read_corpus
from charrnn_core.text.wrappers import wrapper_spans

_SHOWN = 60
_NONSENSE = ("", "\0", "no such text \N{SNOWMAN}", "x" * 5000)
_UNWRAPPED = ("", "\n", "Ann sees Bob.\n" * 20, "\r\n\t\N{SNOWMAN}")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Reading:
    """What happened when the text was read once.

    Arguments:
        corpus: what the source returned, or the error it raised.
        printed: what it wrote to the terminal.
        changed: the files and directories it wrote, made, renamed or removed.
    """

    corpus: Corpus | Exception
    printed: str
    changed: tuple[str, ...]


class SourceSubject(Subject):
    """A source under test, with the text its spec names.

    >>> SourceSubject.of("source", "python-docs").corpus.name
    'python-docs'
    """

    def read(self) -> Corpus:
        """Read the text as charrnn does."""
        return read_corpus(self.ref, self.registry, lambda line: None)

    @cached_property
    def reading(self) -> Reading:
        """The text, and what else happened when it was read for the first time."""
        changed: list[str] = []

        def note(event: str, arguments: tuple[Any, ...]) -> None:
            changed.extend(changed_paths(event, arguments))

        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            with listening(note):
                try:
                    corpus = self.read()
                except Exception as error:  # `gives_a_corpus` reports it
                    corpus = error
        return Reading(corpus, output.getvalue(), tuple(changed))

    @property
    def corpus(self) -> Corpus:
        """The text; a check that needs it does not apply if there is none."""
        if not isinstance(self.reading.corpus, Corpus):
            raise NotApplicable("it returns no corpus")
        return self.reading.corpus

    def ask(self, argument: str | None, offline: bool = True) -> Any:
        """Read the text of any argument, with an empty cache."""
        with tempfile.TemporaryDirectory() as folder:
            context = SourceContext(Path(folder, "cache"), offline)
            return self.target()(argument, self.options(), context)


def gives_a_corpus(subject: SourceSubject) -> str:
    """It returns a Corpus that a model can learn from."""
    if isinstance(found := subject.reading.corpus, Exception):
        raise found
    return f"{found.characters:,} characters, {len(found.symbols)} symbols"


def says_where_from(subject: SourceSubject) -> str:
    """The corpus has a name and an origin, one line each."""
    corpus = subject.corpus
    for what in ("name", "origin"):
        value = getattr(corpus, what)
        if not isinstance(value, str) or len(value.splitlines()) != 1 or not value.strip():
            fail(
                f"the corpus has the {what} {value!r}",
                "set name to something short for listings, such as 'gutenberg:520', and origin "
                "to an address or a path, one line each",
            )
    return f"{corpus.name} from {corpus.origin}"


def no_lone_surrogates(subject: SourceSubject) -> None:
    """The text has no lone surrogates, which files and terminals cannot encode."""
    before = 0
    for piece in subject.corpus.read():
        if found := _SURROGATE.search(piece):
            fail(
                f"character {before + found.start() + 1} is the lone surrogate {found[0]!a}",
                "decode with errors='strict' and raise a CorpusError that says where, as "
                "charrnn_core.decode_text does",
            )
        before += len(piece)


def same_text_twice(subject: SourceSubject) -> str:
    """Reading it again returns the same text."""
    one, two = subject.corpus, subject.read()
    if one.sha256 != two.sha256:
        fail(
            f"read twice, the text has {one.characters:,} characters with the digest "
            f"{one.sha256[:8]}, then {two.characters:,} with {two.sha256[:8]}",
            "make the text depend only on argument, options and the cache: sort directory listings "
            "and sets, and use neither the clock nor unseeded random numbers",
        )
    return f"sha256 {one.sha256[:8]}"


def pieces_join_again(subject: SourceSubject) -> str:
    """A text in pieces can be read from its start any number of times."""
    corpus = subject.corpus
    if corpus.pieces is None:
        raise NotApplicable("the text is in memory")
    digest, pieces, characters = hashlib.sha256(), 0, 0
    for piece in corpus.read():
        digest.update(piece.encode("utf-8", "surrogatepass"))
        pieces, characters = pieces + 1, characters + len(piece)
    if digest.hexdigest() != corpus.sha256:
        fail(
            f"read again, the pieces have {characters:,} characters; the first time they had "
            f"{corpus.characters:,}",
            "make `pieces` a function that reopens the text on every call",
        )
    return f"{pieces} pieces"


def bad_arguments(subject: SourceSubject) -> str:
    """An argument that names no text raises a SourceError with a one-line message."""
    arguments = [*_NONSENSE, *([None] if subject.ref.argument is not None else [])]
    refusals = []
    for argument in arguments:
        shown = f"the argument {argument[:_SHOWN]!r}" if argument is not None else "no argument"
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                subject.ask(argument)
        except CharRNNError as error:
            refusals.append(said := str(error))
            if len(said.splitlines()) != 1:
                fail(
                    f"with {shown} the error message is {said[:_SHOWN]!r}",
                    "say what is wrong in one line",
                )
        except Exception as error:  # whatever else it raises is the finding
            fail(
                f"with {shown} it raises {type(error).__name__}: {str(error)[:_SHOWN]}",
                "check the argument, and raise charrnn_core.SourceError with what was given, what "
                "was expected and what to do",
            )
    if not refusals:
        raise NotApplicable("it accepts any argument")
    return f"{len(refusals)} rejected"


def offline(subject: SourceSubject) -> str:
    """Offline with an empty cache, it makes no network calls; it works or raises SourceError."""
    asked: list[str] = []

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if what := address(event, arguments):
            asked.append(what)
            raise OSError(f"{what} while offline")

    outcome = "it works"
    with listening(refuse), contextlib.redirect_stdout(io.StringIO()):
        try:
            subject.ask(subject.ref.argument)
        except CharRNNError as error:
            outcome = str(error)
        except Exception as error:  # whatever else it raises is the finding
            outcome = f"it raises {type(error).__name__}: {error}"
            if not asked:
                fail(
                    f"offline {outcome}",
                    "raise charrnn_core.SourceError and say what is missing from the cache",
                )
    if asked:
        fail(
            f"offline it calls {asked[0]}",
            "check context.offline first, and raise charrnn_core.SourceError if the text is not "
            "on this machine",
        )
    return outcome


def prints_nothing(subject: SourceSubject) -> None:
    """It prints nothing to the terminal itself."""
    if printed := subject.reading.printed:
        fail(f"it prints {printed[:80]!r}", "tell the user with context.note(line)")


def writes_into_the_cache_alone(subject: SourceSubject) -> None:
    """It changes no file or directory outside the cache, except temporary ones."""
    cache = Path(os.path.realpath(cache_directory()))
    # The cache may be made, with the directories above it.
    allowed = [Path(os.path.realpath(path)) for path in (tempfile.gettempdir(), os.devnull)]
    for name in subject.reading.changed:
        path = Path(os.path.realpath(name))
        if cache.is_relative_to(path) or any(map(path.is_relative_to, (cache, *allowed))):
            continue
        if ".pyc" in path.name or "__pycache__" in path.parts:
            continue  # Python keeps what it has compiled
        fail(f"it changes {path}", f"write only below context.cache, which is {cache}")


def tells_of_its_wrapper(subject: SourceSubject) -> str:
    """Its wrapper, asked about any text, returns places within it, the same ones every time."""
    plugin = subject.provider.plugin
    if not isinstance(plugin, SourcePlugin) or plugin.wrapper is None:
        raise NotApplicable("it tells of no wrapper")
    for text in (*_UNWRAPPED, "".join(itertools.islice(subject.corpus.read(), 1))):
        one, two = (wrapper_spans(plugin, text) for _ in range(2))
        if one != two:
            fail(
                f"asked twice about a text of {len(text)} characters, its wrapper returns {one} "
                f"and {two}",
                "make it depend on the text alone",
            )
        if one and text in _UNWRAPPED:
            fail(
                f"its wrapper returns {one} for {text!r}, which has none",
                "return an empty list unless the marks of your publisher are there",
            )
    return f"{len(_UNWRAPPED)} texts without one, and its own"


KIT = Kit(SourceSubject, (
    *REGISTRATION,
    gives_a_corpus, says_where_from, no_lone_surrogates, same_text_twice, pieces_join_again,
    bad_arguments, offline, prints_nothing, writes_into_the_cache_alone, tells_of_its_wrapper,
))  # fmt: skip
"""The kit for sources."""
