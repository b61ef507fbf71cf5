"""What is wrong with the characters of a text."""

import unicodedata
from collections.abc import Iterator

import numpy as np

from charrnn_core.text.mojibake import Mojibake, find_mojibake
from charrnn_core.text.two_forms import find_two_forms
from charrnn_doctor.examined import Examined
from charrnn_doctor.finding import Finding

_FEW = 1e-5
"""A rarer character costs a model nothing that could be measured."""

_FEW_SPACES = 1e-3
_LONG_LINE = 10_000
_TIMES_AS_LONG = 20
"""A line is extremely long if it is so many times as long as 99 % of the others, and that long."""

_LONG_SHARE = 0.01
_FEWEST_LINES = 20
_EXAMPLES = 3
_JOINERS = "\u200c\u200d"  # part of the spelling in Persian, Hindi, emoji, ...
_REPLACED = "\ufffd"
_IDEOGRAPHIC_SPACE = "\u3000"


def about_symbols(text: Examined) -> Iterator[Finding]:
    """Yield what is wrong with the characters of a text."""
    if found := list(find_mojibake(text.body)):
        yield _mojibake(text, found)
        text = text.with_lines(found)  # what else is odd there is odd for that reason
    for check in (_controls, _replaced, _invisible, _spaces, _two_forms, _long_lines):
        yield from check(text)


def _controls(text: Examined) -> Iterator[Finding]:
    found = "".join(
        s for s in text.symbols if unicodedata.category(s) == "Cc" and s not in "\t\n\v\f\r"
    )
    if not found:
        return
    from_latin = all("\x80" <= symbol <= "\x9f" for symbol in found)
    remedy = "remove them: they are no part of a text"
    if from_latin:
        remedy = "read the file with --source-opt encoding=cp1252: it was read as Latin-1"
    ascii_only = max(found) <= "\x7f"
    yield _of_symbols(
        text,
        found,
        name="control-characters",
        what="control characters",
        remedy=remedy,
        filters=(r"LC_ALL=C tr -d '\000-\010\016-\037\177'",) if ascii_only else (),
    )


def _replaced(text: Examined) -> Iterator[Finding]:
    if _REPLACED in text.symbols:
        yield _of_symbols(
            text,
            _REPLACED,
            name="replacement-characters",
            what="replacement characters, each of which stands for something that was lost",
            remedy="get the text from where it came from, and decode it in its encoding",
        )


def _invisible(text: Examined) -> Iterator[Finding]:
    found = "".join(
        s
        for s in text.symbols
        if unicodedata.category(s) in ("Cf", "Zl", "Zp") and s not in _JOINERS
    )
    if found:
        yield _of_symbols(
            text,
            found,
            name="invisible-characters",
            what="characters that nobody sees",
            remedy="remove them, unless the script needs them",
            filters=(_substitute(found, ""),),
        )


def _spaces(text: Examined) -> Iterator[Finding]:
    """Find other spaces where the text mostly has the usual one: between letters."""
    others = "".join(
        s for s in text.symbols if unicodedata.category(s) == "Zs" and s != _IDEOGRAPHIC_SPACE
    ).replace(" ", "")
    if not others or " " not in text.symbols:
        return
    letters = np.array([symbol.isalpha() for symbol in text.symbols])
    spaces = np.array([symbol in others for symbol in text.symbols])
    inner, around = text.ids[1:-1], letters[text.ids]
    (places,) = np.nonzero(spaces[inner] & around[:-2] & around[2:])
    share = len(places) / text.count(" " + others)
    if share >= _FEW_SPACES:
        yield Finding(
            name="spaces",
            what=f"{len(places):,} spaces between words ({share:.2%} of all spaces) are other than "
            f"the usual one: {_named(text, others)}",
            share=len(places) / len(text.body),
            examples=tuple(text.around(int(place) + 1) for place in places[:_EXAMPLES]),
            remedy="make them U+0020: a model learns each kind of space anew",
            filters=(_substitute(others, " "),),
        )


def _two_forms(text: Examined) -> Iterator[Finding]:
    if not (found := find_two_forms(text.body, text.symbols)):
        return
    rarer = sum(min(form.as_one, form.in_parts) for form in found)
    first = found[0]
    yield Finding(
        name="two-forms",
        what=f"{len(found):,} characters are written in two ways, such as {first.composed}: "
        f"{first.as_one:,} times as {_names(first.composed)}, {first.in_parts:,} times as "
        f"{_names(first.decomposed)}",
        share=rarer / len(text.body),
        examples=tuple(text.around(form.place) for form in found[:_EXAMPLES]),
        remedy="make them one, in normal form NFC",
        mend=rarer >= _FEW * len(text.body),
        filters=(
            'python3 -c "import sys, unicodedata; '
            "sys.stdout.write(unicodedata.normalize('NFC', sys.stdin.read()))\"",
        ),
    )


def _mojibake(text: Examined, found: list[Mojibake]) -> Finding:
    lost = sum(len(line) - len(mended) for _, line, mended in found)
    share = sum(len(line) for _, line, _ in found) / len(text.body)
    return Finding(
        name="mojibake",
        what=f"{len(found):,} lines are UTF-8 that was once read as Windows-1252 or Latin-1: "
        f"{lost:,} characters too many",
        share=share,
        examples=tuple(
            f"{text.quote(start, start + len(line))} was {_shortened(mended)!r}"
            for start, line, mended in found[:_EXAMPLES]
        ),
        remedy="get the text as it was, or repair it with ftfy (pip install ftfy)",
        mend=lost >= _FEW * len(text.body),
        filters=(_back(text.body),),
    )


def _back(text: str) -> str:
    """Return a command that undoes the mojibake of a text."""
    for encoding in ("cp1252", "latin1"):
        try:
            text.encode(encoding).decode("utf-8")
            return f"iconv -f utf-8 -t {encoding}"
        except UnicodeError:
            continue
    return "ftfy"


def _long_lines(text: Examined) -> Iterator[Finding]:
    newline = text.symbols.find("\n")
    if newline < 0:
        return
    ends = np.flatnonzero(np.append(text.ids, newline) == newline)
    lengths = np.diff(ends, prepend=-1) - 1
    some = lengths[lengths > 0]
    if len(some) < _FEWEST_LINES:
        return
    usual = float(np.quantile(some, 0.99, method="lower"))
    (long,) = np.nonzero(lengths > max(_LONG_LINE, _TIMES_AS_LONG * usual))
    if len(long):
        share = float(lengths[long].sum()) / len(text.body)
        longest = long[np.argsort(-lengths[long], kind="stable")]
        starts = [(int(ends[i] - lengths[i]), int(ends[i])) for i in longest[:_EXAMPLES]]
        yield Finding(
            name="long-lines",
            what=f"{len(long):,} lines have up to {int(lengths[long].max()):,} characters, 99 % of "
            f"the others at most {usual:,.0f}",
            share=share,
            examples=tuple(text.quote(start, end) for start, end in starts),
            remedy="see whether they are text: data among it, such as base64, cannot be learnt",
            mend=share >= _LONG_SHARE,
        )


def _of_symbols(
    text: Examined, found: str, *, name: str, what: str, remedy: str, filters: tuple[str, ...] = ()
) -> Finding:
    """Return a finding about certain characters; few of them need not be mended."""
    count = text.count(found)
    what = what.replace("characters", "character", 1) if count == 1 else what
    places = [text.body.index(symbol) for symbol in found[:_EXAMPLES]]
    return Finding(
        name=name,
        what=f"{count:,} {what}: {_named(text, found)}",
        share=count / len(text.body),
        examples=tuple(map(text.around, places)),
        remedy=remedy,
        mend=count >= _FEW * len(text.body),
        filters=filters,
    )


def _named(text: Examined, symbols: str) -> str:
    by_count = sorted(symbols, key=text.count, reverse=True)
    shown = [f"{_names(symbol)} {_times(text.count(symbol))}" for symbol in by_count[:_EXAMPLES]]
    more = [f"{len(symbols) - _EXAMPLES:,} more"] if len(symbols) > _EXAMPLES else []
    return ", ".join(shown + more)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _names(symbols: str) -> str:
    return " ".join(f"U+{ord(symbol):04X}" for symbol in symbols)


def _substitute(symbols: str, other: str) -> str:
    """Return a command that replaces characters by something else."""
    points = "".join(f"\\x{{{ord(symbol):x}}}" for symbol in symbols)
    return f"perl -CSD -pe 's/[{points}]/{other}/g'"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]} ..."
