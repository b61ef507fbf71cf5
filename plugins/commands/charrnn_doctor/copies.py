"""Passages of a text that occur twice: in the training part, and in both parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn_core.text.passages import PASSAGE, Passage, Repeats, repeats
from charrnn_core.text.split import Split
from charrnn_doctor.examined import Examined
from charrnn_doctor.finding import Finding

MOST_REPEATED = 0.1
"""From this share on, what is repeated is reported: every tenth character teaches nothing new.

Prose has less than 0.001, the sources of Python, with their licences and examples, 0.065.
"""

MOST_SHARED = 0.05
"""From this share of the held-out text on, what the training part has, too, is reported.

A model may know it by heart, which makes its loss too low by up to as much. That of 16,000
held-out characters is known to 0.02 anyway; prose has less than 0.001, Python's sources 0.024.
"""

_EXAMPLES = 3


@dataclass(frozen=True)
class Copies:
    """What occurs twice in a text.

    Arguments:
        text: the text.
        starts: for each piece, training ones first, where it begins in the text, and its length.
        training: how many characters the training part has.
        held_out: how many the held-out one has.
        repeated: the passages of the training part that it has had before.
        shared: the passages of the held-out part that the training part has, too.
    """

    text: Examined
    starts: Sequence[tuple[int, int]]
    training: int
    held_out: int
    repeated: Repeats
    shared: Repeats

    @classmethod
    def of(cls, text: Examined, split: Split) -> "Copies":
        """Look for them, given how the text is split."""
        ranges = [split.ranges(len(text.ids), part) for part in ("train", "valid")]
        training, held_out = (sum(end - start for start, end in part) for part in ranges)
        both = [*ranges[0], *ranges[1]]
        found = repeats([text.ids[start:end] for start, end in both])
        return cls(
            text=text,
            starts=[(start, end - start) for start, end in both],
            training=training,
            held_out=held_out,
            repeated=found.between(0, training),
            shared=found.between(training, training + held_out, first_before=training),
        )

    @property
    def repeated_share(self) -> float:
        """The share of the training part that is in passages it has had before."""
        return self.repeated.characters / max(1, self.training)

    @property
    def shared_share(self) -> float:
        """The share of the held-out part that is in passages of the training part."""
        return self.shared.characters / max(1, self.held_out)

    def findings(self) -> Iterator[Finding]:
        """Yield what is too much."""
        if self.repeated_share >= MOST_REPEATED:
            yield Finding(
                name="repeats",
                what=f"{self.repeated_share:.0%} of the training part are passages of {PASSAGE} "
                "characters or more that it has had before",
                share=self.repeated.characters / len(self.text.body),
                examples=self._examples(self.repeated),
                remedy="remove the copies, unless they are meant: training on them again teaches "
                "to write them by heart",
            )
        if self.shared_share >= MOST_SHARED:
            yield Finding(
                name="overlap",
                what=f"{self.shared_share:.0%} of the held-out part are passages of {PASSAGE} "
                "characters or more that the training part has, too",
                share=self.shared_share,
                examples=self._examples(self.shared),
                remedy="remove them from one of the parts, or choose another --split: a held-out "
                "loss would be too good",
            )

    def _examples(self, found: Repeats) -> tuple[str, ...]:
        return tuple(map(self._quoted, found.longest(_EXAMPLES)))

    def _quoted(self, passage: Passage) -> str:
        start, first = self._place(passage.start), self._place(passage.first)
        size = passage.end - passage.start
        quote = self.text.quote(start, start + size)
        return f"{size:,} characters of line {self.text.line(first):,} again in {quote}"

    def _place(self, place: int) -> int:
        """Return the place in the text of one in the pieces."""
        ends = np.cumsum([length for _, length in self.starts])
        number = int(np.searchsorted(ends, place, side="right"))
        start, length = self.starts[number]
        return start + place - int(ends[number] - length)
