"""The examination of a text: everything that is found out before a training."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.split import Split
from charrnn_doctor.copies import Copies
from charrnn_doctor.examined import Examined
from charrnn_doctor.finding import Finding, in_order
from charrnn_doctor.floor import Floor, count
from charrnn_doctor.reading import MOST, read
from charrnn_doctor.symbols import about_symbols
from charrnn_doctor.wrapping import without_wrapper

if TYPE_CHECKING:
    from charrnn_doctor.default import Default

_RAREST = 5


@dataclass(frozen=True)
class Examination:
    """What was found out about a text.

    Arguments:
        source: its source, with the options that mend it.
        corpus: what a run would read once it is mended.
        text: what of it was looked at.
        split: how a run splits it.
        findings: what is wrong, in order.
        copies: what occurs twice.
        floor: what counting achieves.
        notes: what the source told the user.
        is_whole: whether all of the text was looked at.
        default: what a run would do with it; None if that was not asked.
    """

    source: Ref
    corpus: Corpus
    text: Examined
    split: Split
    findings: list[Finding]
    copies: Copies
    floor: Floor
    notes: tuple[str, ...]
    is_whole: bool
    default: "Default | None" = None

    @property
    def must_mend(self) -> bool:
        """Whether something should be mended."""
        return any(finding.mend for finding in self.findings)

    def rarest(self) -> list[tuple[str, int, int]]:
        """Return the rarest symbols, how often the text has each, and the line of the first."""
        text = self.text
        rarest = text.counts.argsort(kind="stable")[:_RAREST].tolist()
        found = [(text.symbols[i], int(text.counts[i])) for i in rarest]
        return [(symbol, n, text.line(text.body.index(symbol))) for symbol, n in found]

    def table(self, command: str) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        copies, floor = self.copies, self.floor
        return {
            "source": self.source.table(),
            "origin": self.corpus.origin,
            "characters": len(self.text.body),
            "whole": self.is_whole,
            "symbols": len(self.text.symbols),
            "rarest": [
                {"symbol": symbol, "count": n, "line": line} for symbol, n, line in self.rarest()
            ],
            "split": self.split.name,
            "training_characters": copies.training,
            "held_out_characters": copies.held_out,
            "repeated_share": copies.repeated_share,
            "shared_share": copies.shared_share,
            "baselines": [row.table() for row in floor.rows],
            "baselines_sampled": floor.sampled,
            "default": None if self.default is None else self.default.table(),
            "notes": list(self.notes),
            "mend": self.must_mend,
            "findings": [finding.table() for finding in self.findings],
            "command": command,
        }


def examine(settings: RunConfig, registry: Registry) -> Examination:
    """Examine the text of a run.

    Arguments:
        settings: the settings of the run, its source and split among them.
        registry: the plugins.

    Raises:
        CharRNNError: there is no such text, or it cannot be read.
    """
    split = Split.named(settings.split)
    reading = read(settings.source, registry)
    text, wrapper = without_wrapper(reading.text, reading.source, registry)
    corpus = reading.corpus
    if wrapper:
        corpus = dataclasses.replace(corpus, text=text.body, pieces=None)
    copies = Copies.of(text, split)
    symbols = [
        finding
        for finding in about_symbols(text)
        # Those are ours: they stand for the bytes that could not be read.
        if finding.name != "replacement-characters"
        or reading.source.options.get("errors") != "replace"
    ]
    return Examination(
        source=reading.source,
        corpus=corpus,
        text=text,
        split=split,
        findings=in_order([*reading.findings, *wrapper, *symbols, *copies.findings()]),
        copies=copies,
        floor=count(text, split),
        notes=reading.notes,
        is_whole=len(reading.text) < MOST,
    )
