"""What counting alone achieves on a text: the loss that a network has to beat."""

from dataclasses import dataclass

from charrnn_core.evaluation.counting import Counting
from charrnn_core.evaluation.report import Row
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.text.split import Split, count_characters, first_characters
from charrnn_doctor.examined import Examined

_WHOLE = 1_500_000
"""A longer text is sampled, since counting takes three seconds for as much."""

_TRAINING, _HELD_OUT = 1 << 19, 1 << 16


@dataclass(frozen=True)
class Floor:
    """The baselines of a text.

    Arguments:
        rows: unigram, n-gram, xz.
        training, held_out: how many characters they were fitted to, and scored on.
        sampled: whether those are fewer than the text has.
    """

    rows: tuple[Row, ...]
    training: int
    held_out: int
    sampled: bool


def count(text: Examined, split: Split) -> Floor:
    """Count the baselines of a text; of a long one, the end of its training part.

    What is counted of a whole text is kept, so that a run on it need not count again.
    """
    training, pieces = split.training(text.ids), split.pieces(text.ids, "valid", 0)
    sampled = len(text.ids) > _WHOLE
    if sampled:
        training, pieces = training[-_TRAINING:], first_characters(pieces, _HELD_OUT)
    rows, _ = Counting(training, pieces, Alphabet(text.symbols)).wait()
    return Floor(rows, len(training), count_characters(pieces), sampled)
