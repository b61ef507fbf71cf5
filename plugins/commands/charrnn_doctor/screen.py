"""What a doctor says, for a person."""

from collections.abc import Iterator

from charrnn_core.console.layout import alarm, folded, labelled
from charrnn_core.text.passages import PASSAGE
from charrnn_doctor.examination import Examination
from charrnn_doctor.finding import Finding


def lines(found: Examination, command: str, width: int | None) -> Iterator[str]:
    """Yield the lines: the facts, the findings, the command.

    Arguments:
        found: the examination.
        command: the command line to run.
        width: of the terminal; None leaves lines as they are.
    """
    yield from labelled(_facts(found), width)
    to_mend = [finding for finding in found.findings if finding.mend]
    others = [finding for finding in found.findings if not finding.mend]
    for finding in to_mend:
        yield ""
        yield from _told(finding, width)
    for finding in others:
        yield from labelled([("note", f"{finding.what}; {finding.remedy}")], width)
    for note in found.notes:
        yield from labelled([("note", note)], width)
    yield ""
    count = f"{len(to_mend)} thing{'s' if len(to_mend) > 1 else ''} to mend"
    yield alarm(count) if to_mend else "nothing to mend"
    yield f"run  {command}"


def _facts(found: Examination) -> Iterator[tuple[str, str]]:
    text, copies, floor = found.text, found.copies, found.floor
    part = "" if found.is_whole else " at the beginning of a longer text"
    total = f"{len(text.body):,} characters{part}, {len(text.symbols):,} symbols"
    yield "text", f"{found.corpus.name}: {total}"
    rarest = (f"{symbol!r} {n:,} (line {line:,})" for symbol, n, line in found.rarest())
    yield "rarest", ", ".join(rarest)
    yield (
        "copies",
        f"{copies.repeated_share:.1%} of {copies.training:,} characters to learn from occurred "
        f"before, and so did {copies.shared_share:.1%} of {copies.held_out:,} held out "
        f"({found.split.name}; passages of {PASSAGE} characters)",
    )
    if floor.rows:
        rows = ", ".join(f"{row.bits_per_char:.3f} {row.name}" for row in floor.rows)
        of = f", the last {floor.training:,} and the first {floor.held_out:,}"
        yield "counting", f"{rows} (bits per character{of if floor.sampled else ''})"
    if found.default is not None:
        yield "default", found.default.line()
        if (forecast := found.default.forecast) is not None:
            speed = f"{forecast.characters_per_second:,.0f} characters a second"
            yield "time", f"about {_duration(forecast.seconds)} here ({speed})"


def _told(finding: Finding, width: int | None) -> Iterator[str]:
    yield from folded(f"{finding.name}: {finding.what}", width, "", "  ")
    for example in finding.examples:
        yield from folded(example, width, "    ", "      ")
    yield from folded(finding.remedy, width, "  -> ", "     ")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"
