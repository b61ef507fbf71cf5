"""Read a text as a run would, and find what is wrong with its bytes."""

import dataclasses
from dataclasses import dataclass

from charrnn_core.errors import CorpusError
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.decode import encode_text
from charrnn_core.text.load import read_corpus
from charrnn_core.text.recognition import (
    is_binary,
    is_mostly_utf8,
    kind_of_file,
    likely_encoding,
    wide_encoding,
)
from charrnn_doctor.finding import Finding

MOST = 1 << 25
"""The most characters that are looked at; they take some gigabytes."""

_BEGINNING = 1 << 16
_AROUND = 30


@dataclass(frozen=True)
class Reading:
    """A text as a run reads it.

    Arguments:
        source: the source, with the options that mend what is wrong with the bytes.
        corpus: what it returned.
        text: the first characters of that, `MOST` at most.
        notes: what it told the user.
        findings: what is wrong with the bytes.
    """

    source: Ref
    corpus: Corpus
    text: str
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]


def read(source: Ref, registry: Registry) -> Reading:
    """Read a text; where the bytes are not in the encoding, in one that they seem to be in.

    Raises:
        SourceError, CorpusError: there is no text, or nothing tells its encoding.
    """
    notes, findings = list[str](), list[Finding]()
    try:
        corpus = read_corpus(source, registry, notes.append)
    except CorpusError as error:
        findings.append(_encoding(source, registry, error))
    else:
        findings += _is_utf8(source, registry)
    if findings:
        notes.clear()
        source = source.with_options(findings[0].options)
        corpus = read_corpus(source, registry, notes.append)
    if _takes(source, registry, "newlines"):
        notes.clear()  # what the source tells of line ends is told below
        kept = _beginning(source.with_options({"newlines": "keep"}), registry, notes)
        normalises = getattr(registry.options("source", source), "newlines") == "normalise"
        findings += _line_ends(kept, normalises)
    else:
        findings += _line_ends(_first(corpus), normalises=False)
    told = dict.fromkeys(line.removeprefix("note: ") for line in notes)
    return Reading(source, corpus, _first(corpus), tuple(told), tuple(findings))


def _takes(source: Ref, registry: Registry, *names: str) -> bool:
    """Return whether a source has all of these options."""
    options = registry.options("source", source)
    return {*names} <= {field.name for field in dataclasses.fields(options)}


def _first(corpus: Corpus) -> str:
    """Return the first characters of a text, `MOST` at most."""
    if corpus.text is not None:
        return corpus.text[:MOST]
    pieces, left = [], MOST
    for piece in corpus.read():
        pieces.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return "".join(pieces)


def _beginning(source: Ref, registry: Registry, notes: list[str]) -> str:
    return _first(read_corpus(source, registry, notes.append))


def _bytes(source: Ref, registry: Registry) -> bytes | None:
    """Return the bytes of a text, if its source can be made to give them."""
    if not _takes(source, registry, "newlines", "errors", "encoding"):
        return None
    untouched = {"newlines": "keep", "errors": "escape", "encoding": "utf-8"}
    return encode_text(_beginning(source.with_options(untouched), registry, []))


def _encoding(source: Ref, registry: Registry, error: CorpusError) -> Finding:
    """Return what the encoding of a text seems to be that cannot be read.

    Raises:
        CorpusError: the error, if the bytes do not tell, or are no text.
    """
    data = _bytes(source, registry)
    if data is None or kind_of_file(data[:_BEGINNING]) is not None:
        raise error
    wide = wide_encoding(data)
    if wide is None and is_binary(data[:_BEGINNING]):
        raise error
    wrong, first = _not_utf8(data)
    given = source.options.get("encoding", "utf-8")
    if wide is None and wrong and is_mostly_utf8(data):
        return Finding(
            name="encoding",
            what=f"{wrong:,} bytes are not UTF-8, as the rest is, the first in {_place(data, first)}",
            share=wrong / len(data),
            remedy="repair them; with --source-opt errors=replace they are read as U+FFFD",
            options={"errors": "replace", "encoding": "utf-8"},
        )
    found = wide or (likely_encoding(data, first) if wrong else "utf-8")
    if found is None or found == given:
        raise error
    bad = f", such as those in {_place(data, first)}" if wrong and wide is None else ""
    return Finding(
        name="encoding",
        what=f"the text is not {given}{bad}; it looks like {found}",
        share=1.0,
        remedy=f"read it with --source-opt encoding={found}",
        options={"encoding": found},
    )


def _is_utf8(source: Ref, registry: Registry) -> list[Finding]:
    """Find that a text in UTF-8 is read in an encoding in which every byte means something."""
    given = str(source.options.get("encoding", "utf-8"))
    if given.lower().replace("_", "-") in ("utf-8", "utf8"):
        return []
    data = _bytes(source, registry)
    if data is None or data.isascii() or _not_utf8(data)[0] or wide_encoding(data):
        return []
    return [
        Finding(
            name="encoding",
            what=f"the text is read as {given}, but it is valid UTF-8, and not plain ASCII",
            share=1.0,
            remedy=f"read it with --source-opt encoding=utf-8 (leave encoding={given} out)",
            options={"encoding": "utf-8"},
        )
    ]


def _not_utf8(data: bytes) -> tuple[int, int]:
    """Return how many bytes are not UTF-8, and where the first is."""
    try:
        data.decode()
        return 0, 0
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "surrogateescape")
        return sum("\udc80" <= symbol <= "\udcff" for symbol in text), error.start


def _place(data: bytes, at: int) -> str:
    """Return the number of the line of a byte, and what is around it."""
    start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
    around = data[max(start, at - _AROUND) : min(at + _AROUND, end if end >= 0 else len(data))]
    number = data.count(b"\n", 0, at) + 1
    return f"line {number:,} {around!r}"


def _line_ends(text: str, normalises: bool) -> list[Finding]:
    """Find line ends other than a line feed in a text that was read as it is."""
    both = text.count("\r\n")
    lone, lines = text.count("\r") - both, text.count("\n") - both
    if not both and not lone:
        return []
    counts = [f"{n:,} {what}" for n, what in ((both, "CR LF"), (lone, "CR"), (lines, "LF")) if n]
    return [
        Finding(
            name="line-ends",
            what=f"line ends are {' and '.join(counts)}",
            share=(both + lone) / len(text),
            remedy="nothing: they are read as LF"
            if normalises
            else "make them LF, which every text has, so that the model need not learn them",
            mend=not normalises,
            options={} if normalises else {"newlines": "normalise"},
        )
    ]
