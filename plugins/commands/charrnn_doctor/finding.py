"""What was found in a text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found in a text.

    Arguments:
        name: what kind of thing, for programs: ``encoding``, ``repeats``, ...
        what: what it is and how much of it there is, in a line.
        share: the share of the text that it concerns.
        examples: some of it, each in a line, with its place.
        remedy: what to do, in a line.
        mend: whether it should be mended before a training.
        options: options of the source that mend it.
        filters: shell commands that mend it, each from standard input to standard output.
        preparing: those that are needed before any other, if there is another.
    """

    name: str
    what: str
    share: float
    remedy: str
    examples: tuple[str, ...] = ()
    mend: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    preparing: tuple[str, ...] = ()

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {
            "name": self.name,
            "mend": self.mend,
            "what": self.what,
            "share": round(self.share, 6),
            "examples": list(self.examples),
            "remedy": self.remedy,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return what should be mended first, and of that what concerns most of the text.

    >>> found = [Finding(name=n, what="", share=s, remedy="", mend=m)
    ...          for n, s, m in (("a", 0.1, True), ("b", 0.9, False), ("c", 0.2, True))]
    >>> [finding.name for finding in in_order(found)]
    ['c', 'a', 'b']
    """
    return sorted(findings, key=lambda finding: (not finding.mend, -finding.share))
