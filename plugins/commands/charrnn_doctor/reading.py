"""Read a text as a run would, and find what is wrong with its bytes."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.decode import encode_text
from charrnn_core.text.load import read_corpus
from charrnn_core.text.recognition import (
    is_binary,
    kind_of_file,
    likely_encoding,
    wide_encoding,
)
from charrnn_doctor.finding import Finding

MOST = 1 << 25
"""The most characters that are looked at; they take some gigabytes."""

_BEGINNING = 1 << 16
_AROUND = 30
_FEW_WRONG = 1e-3
"""Bytes of no encoding that are rarer than that are damage, in a text that is ASCII else."""


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
    notes = list[str]()
    source, corpus, findings = _in_its_encoding(source, registry, notes)
    if _takes(source, registry, "newlines"):
        notes.clear()  # what the source tells of line ends is told below
        kept = _beginning(source.with_options({"newlines": "keep"}), registry, notes)
        normalises = registry.options("source", source).newlines == "normalise"
        ends = _line_ends(kept, normalises, {"newlines": "normalise"})
        findings += ends
        if ends and not normalises:
            source = source.with_options(ends[0].options)
            corpus = read_corpus(source, registry, lambda line: None)
    else:
        findings += _line_ends(_first(corpus), normalises=False)
    told = dict.fromkeys(line.removeprefix("note: ") for line in notes)
    return Reading(source, corpus, _first(corpus), tuple(told), tuple(findings))


def _in_its_encoding(
    source: Ref, registry: Registry, notes: list[str]
) -> tuple[Ref, Corpus, list[Finding]]:
    """Return a source with the encoding that its text is in, the text, and what was wrong."""
    try:
        corpus = read_corpus(source, registry, notes.append)
        _first(corpus)
        findings = _is_utf8(source, registry)
        if not findings:
            return source, corpus, []
    except CorpusError as error:
        findings = [_encoding(source, registry, error)]
    notes.clear()
    source = source.with_options(findings[0].options)
    return source, read_corpus(source, registry, notes.append), findings


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
    fault, known = _Fault.of(data), str(error).partition(";")[0]
    found = wide or (likely_encoding(data, fault.first) if fault.wrong else "utf-8")
    few = fault.wrong < fault.right or (found is None and fault.wrong < _FEW_WRONG * len(data))
    if wide is None and fault.wrong and few:
        return Finding(
            name="encoding",
            what=f"{known}; {fault.wrong:,} bytes in all are wrong, and the rest is UTF-8",
            share=fault.wrong / len(data),
            examples=(_place(data, fault.first),),
            remedy="repair them; with --source-opt errors=replace they are read as U+FFFD",
            options={"errors": "replace", "encoding": "utf-8"},
        )
    if found is None or found == source.options.get("encoding", "utf-8"):
        raise error
    return Finding(
        name="encoding",
        what=f"{known.removesuffix(f'it looks like {found}').rstrip(': ')}; it looks like {found}",
        share=1.0,
        examples=(_place(data, fault.first),) if fault.wrong and wide is None else (),
        remedy=f"read it with --source-opt encoding={found}",
        options={"encoding": found},
    )


def _is_utf8(source: Ref, registry: Registry) -> list[Finding]:
    """Find that a text in UTF-8 is read in an encoding in which every byte means something."""
    given = str(source.options.get("encoding", "utf-8"))
    if given.lower().replace("_", "-") in ("utf-8", "utf8"):
        return []
    data = _bytes(source, registry)
    if data is None or data.isascii() or _Fault.of(data).wrong or wide_encoding(data):
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


class _Fault(NamedTuple):
    """What of some bytes is not UTF-8.

    Fields:
        wrong: how many bytes are not.
        right: how many characters are, besides ASCII.
        first: where the first wrong byte is.
    """

    wrong: int
    right: int
    first: int

    @classmethod
    def of(cls, data: bytes) -> "_Fault":
        try:
            data.decode()
            return cls(0, 0, 0)
        except UnicodeDecodeError as error:
            text = data.decode("utf-8", "surrogateescape")
            points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
            wrong = int(np.count_nonzero((points >= 0xDC80) & (points <= 0xDCFF)))
            return cls(wrong, int(np.count_nonzero(points > 0x7F)) - wrong, error.start)


def _place(data: bytes, at: int) -> str:
    """Return the number of the line of a byte, and what is around it."""
    start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
    around = data[max(start, at - _AROUND) : min(at + _AROUND, end if end >= 0 else len(data))]
    number = data.count(b"\n", 0, at) + 1
    return f"line {number:,} {around!r}"


def _line_ends(
    text: str, normalises: bool, options: Mapping[str, str] = MappingProxyType({})
) -> list[Finding]:
    """Find line ends other than a line feed, in a text that was read as it is."""
    both = text.count("\r\n")
    lone, lines = text.count("\r") - both, text.count("\n") - both
    if not both and not lone:
        return []
    counts = [f"{n:,} {what}" for n, what in ((both, "CR LF"), (lone, "CR"), (lines, "LF")) if n]
    first = text.index("\r")
    shown = text[max(0, first - _AROUND) : first + 2]
    return [
        Finding(
            name="line-ends",
            what=f"line ends are {' and '.join(counts)}",
            share=(both + lone) / len(text),
            examples=(f"line {text.count(chr(10), 0, first) + 1:,} {shown!r}",),
            remedy="nothing, as they are read as LF" if normalises else "make them all LF",
            mend=not normalises,
            options={} if normalises else options,
            preparing=(r"perl -0777 -pe 's/\r\n?/\n/g'",),
        )
    ]
