"""Patterns of the lines with which Project Gutenberg has marked a book's start and end since 1990.

All repetitions are bounded, so that no input makes a search quadratic.
"""

import re

_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL
_PROJECT = r"pro[jgy]e\w{1,6}\s{1,9}gutenber"  # Project, Projekt, Projet, Progetto, Proyecto, ...
_LINE = r"[^\n]{0,500}$"
# A title may run over several lines until the closing stars, but never over a blank line or into
# the next marker.
_STOP = r"\n[ \t]{0,80}(?:\n|\*{1,9}[ \t]{0,9}\w)"
_TITLE = rf"(?:(?:(?!{_STOP}).){{0,500}}?\*{{3}}[ \t]{{0,80}}$|{_LINE})"
_THE = r"(?:th(?:e|is)\s{1,9})?(?:copyrighted\s{1,9})?"

START = re.compile(
    r"^[ \t]{0,80}(?:"
    rf"\*{{1,9}}[ \t]{{0,9}}start\s{{1,9}}of\s{{1,9}}{_THE}{_PROJECT}{_TITLE}"
    rf"|\*{{0,9}}[ \t]{{0,9}}beginning\s{{1,9}}of\s{{1,9}}th(?:e|is)\s{{1,9}}{_PROJECT}{_TITLE}"
    rf"|\*{{0,9}}end[ \t]{{0,9}}\*?[ \t]{{0,9}}the\s{{1,9}}small\s{{1,9}}print{_LINE}"
    rf"|\[?[\"“]?small\s{{1,9}}print[\"”]?\s{{1,9}}v\.[0-9]{_LINE}"
    r"|\*{0,9}these\s{1,9}[^\n]{1,60}(?:were\s{1,9})?prepared\s{1,9}by\s{1,9}(?:thousands|hundreds)"
    rf"{_LINE})",
    _FLAGS,
)
"""The line that ends a header."""

_END_WORD = (
    r"(?:the\s{1,9})?(?:end|ende|einde|fin|fine|final|fim|slut|slutet|slutten|loppu|koniec|konec)\b"
)
END = re.compile(
    r"^(?:"
    r"(?P<starred>[ \t]{0,80}\*{2,9}[ \t]{0,9}end\s{1,9}of\s{1,9}"
    rf"{_THE}{_PROJECT}{_TITLE})"
    r"|[^\w\n]{0,80}(?:"
    rf"(?:the\s{{1,9}})?end\s{{1,9}}of\s{{1,9}}{_THE}{_PROJECT}"
    rf"|{_END_WORD}[^\n]{{0,60}}?\b{_PROJECT}"
    r"|ende\s{1,9}diese[rs]?\s{1,9}e-?(?:text|book)"
    r"|end\s{1,9}of\s{1,9}this\s{1,9}is\s{1,9}(?:a\s{1,9})?copyrighted"
    rf"|this\s{{1,9}}is\s{{1,9}}a\s{{1,9}}copyrighted\s{{1,9}}{_PROJECT}[^\n]{{0,60}}details\s{{1,9}}above"
    r"|ce\s{1,9}document\s{1,9}f[uû]t\s{1,9}pr[eé]sent[eé]\s{1,9}en\s{1,9}lecture"
    r"|more\s{1,9}information\s{1,9}about\s{1,9}this\s{1,9}book\s{1,9}is\s{1,9}at\s{1,9}the\s{1,9}top"
    r")"
    # The sentence may continue in the next lines, up to a blank one.
    r"[^\n]{0,500}(?:\n(?![ \t]{0,80}\n)[^\n]{1,500}){0,2})",
    _FLAGS,
)
"""The paragraph that begins a footer; `starred` if with stars, which never occur by chance."""

HEADER = re.compile(
    rf"{_PROJECT}|^[^\w\n]{{0,9}}(?:title|author|language|release\s{{1,9}}date)[ \t]{{0,9}}:",
    _FLAGS,
)
"""Words near the start of a header."""

LICENCE = re.compile(
    r"gutenber|licen[cs]e|small\s{1,9}print|copyright|\be-?(?:text|book)|electronic\s{1,9}work|\b(?:trademark|disclaimer|donation)",
    _FLAGS,
)
"""Words that recur throughout a licence."""

_WORK = r"(?:e-?(?:text|book)|text|file|(?:html|electronic)\s{1,9}(?:version|edition|text|file))"
_MADE = r"(?:produced|prepared|transcribed|scanned|digiti[sz]ed|proofread|typed|converted)"
CREDITS = re.compile(
    r"[\[(]?(?:"
    rf"(?:th(?:e|is)\s{{1,9}})?(?:{_PROJECT}g\s{{1,9}})?(?:{_WORK}\s{{1,9}}(?:was\s{{1,9}})?)?"
    rf"{_MADE}(?:(?:,|\s{{1,9}}and)\s{{1,9}}\w{{1,20}}){{0,3}}\s{{1,9}}(?:by|from)\b"
    rf"|html\s{{1,9}}version\s{{1,9}}by\b|credits\s{{0,9}}:|produit\s{{1,9}}par\b|erstellt\s{{1,9}}von\b"
    rf"|note:\s{{1,9}}(?:{_PROJECT}g\s{{1,9}}also\s{{1,9}}has|images\s{{1,9}}of\s{{1,9}}the\s{{1,9}}original)"
    r")",
    _FLAGS,
)
"""The beginning of a paragraph below a header that credits who made the file."""

REMNANT = re.compile(rf"{_PROJECT}|transcriber.?s?.?\s{{1,9}}notes?\b", _FLAGS)
"""Words that rarely belong to the book itself: reported if they remain in the text."""
