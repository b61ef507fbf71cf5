"""A model's loss on a part of a text, compared with the baselines on it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from charrnn_core.evaluation.counting import Counting
from charrnn_core.evaluation.report import Evaluation, Tally, tally
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.scoring import Nats
from charrnn_core.evaluation.unknown import Unknown
from charrnn_core.runs.chosen import Chosen
from charrnn_core.runs.course import Course
from charrnn_core.text.alphabet import Alphabet, Ids
from charrnn_core.text.split import Piece, count_characters


@dataclass(frozen=True, kw_only=True)
class ScoredPart:
    """The part of a text that a model is scored on.

    Arguments:
        alphabet: the model's symbols.
        split, part: the names of the preset and its part.
        pieces: the known characters.
        unknown: the characters in it that the alphabet lacks.
    """

    alphabet: Alphabet
    split: str
    part: str
    pieces: list[Piece]
    unknown: Unknown

    @property
    def characters(self) -> int:
        """The number of characters that a mean is taken over."""
        return count_characters(self.pieces) + self.unknown.counted

    def tally(self, nats: Iterable[Nats]) -> Tally:
        """Add up the nats of the known characters and the cost of the unknown ones."""
        counts = self.unknown.escape > 0
        among = self.unknown.among(nats)
        return tally((some[known | counts] for some, known in among), self.characters)

    def charged(self, row: Row) -> Row:
        """Add the cost of the unknown characters to a row over the known ones."""
        known = count_characters(self.pieces)
        return replace(row, nats_per_char=self.unknown.mean(row.nats_per_char, known))


class Comparison:
    """Computes baselines for a part of a text in the background, while a model is scored on it.

    Arguments:
        text: the part.
        training: the ids that the baselines are fitted to; None for no baselines.

    >>> import numpy as np
    >>> alphabet = Alphabet("ab")
    >>> ids = alphabet.encode("ab" * 40)
    >>> part = ScoredPart(alphabet=alphabet, split="last-10%", part="valid",
    ...                   pieces=[Piece(int(ids[59]), ids[60:])], unknown=Unknown.none(alphabet))
    >>> comparison = Comparison(part, ids[:60])
    >>> model = part.tally([np.full(20, 0.5, np.float32)]).row("model")
    >>> [row.name for row in comparison.evaluation(model).rows]
    ['model', 'unigram', 'n-gram, order 6']
    """

    def __init__(self, text: ScoredPart, training: Ids | None) -> None:
        self._text = text
        self._counting = (
            None if training is None else Counting(training, text.pieces, text.alphabet)
        )

    def cancel(self) -> None:
        """Stop computing baselines."""
        if self._counting is not None:
            self._counting.cancel()

    def give_way(self) -> None:
        """Compute baselines only on cores that nothing else wants, until they are asked for."""
        if self._counting is not None:
            self._counting.give_way()

    @property
    def seconds_left(self) -> float:
        """An estimate of the time that computing the rest of the baselines takes."""
        return 0.0 if self._counting is None else self._counting.seconds_left

    def evaluation(
        self,
        model: Row,
        *,
        chosen: Chosen | None = None,
        last: Row | None = None,
        alone: Row | None = None,
        mixed: Row | None = None,
        dynamic: Row | None = None,
        dynamic_mixed: Row | None = None,
        remarks: Iterable[str] = (),
        course: Course | None = None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> Evaluation:
        """Wait for the baselines, and return the complete evaluation.

        Arguments:
            model, chosen, last, alone, mixed, dynamic, dynamic_mixed, remarks, course: as for
                `Evaluation`.
            give_up: called several times a second; True ends the wait, without baselines.
        """
        rows, more = ((), ()) if self._counting is None else self._counting.wait(give_up)
        text = self._text
        return Evaluation(
            model=model,
            characters=text.characters,
            split=text.split,
            part=text.part,
            symbol=text.alphabet.unit,
            chosen=chosen,
            last=last,
            alone=alone,
            mixed=mixed,
            dynamic=dynamic,
            dynamic_mixed=dynamic_mixed,
            baselines=tuple(map(text.charged, rows)),
            remarks=(*remarks, *more),
            course=course,
        )
