"""The held-out text of a run: an excerpt is scored while it learns, all of it at the end."""

import time
from collections.abc import Callable

from charrnn_core.cell import Params
from charrnn_core.evaluation.comparison import ScoredPart
from charrnn_core.evaluation.excerpt import Excerpt
from charrnn_core.evaluation.report import Tally, tally
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.scoring import STREAMS, WARM_UP, Scorer
from charrnn_core.network.network import Network

OF_TRAINING = 0.5
"""Scoring a character takes about a third of the time that training on it does."""


class HeldOut:
    """Scores the held-out text of a run, and remembers how long that takes.

    Arguments:
        text: the held-out text.
        network: the network to score it with.
        shards: the devices of the run, which share the streams.
        completed: returns the parameters to use, given those that are learnt.
    """

    def __init__(
        self,
        text: ScoredPart,
        network: Network,
        shards: int | None,
        completed: Callable[[Params], Params] = lambda params: params,
    ) -> None:
        self.text, self.excerpt = text, Excerpt.of(text.pieces)
        self._completed = completed
        # The same number of streams for both, so that one compiled program serves them.
        self._score = Scorer(network, streams=STREAMS, shards=shards)
        self._seconds_per_character: float | None = None
        self._tally: Tally | None = None
        self._scored: Params | None = None

    def ahead(self, params: Params) -> None:
        """Compile what scoring needs, in any thread; `params` may be shapes."""
        if self.text.characters:
            self._score.ahead(
                self._completed(params), [len(piece.ids) for piece in self.excerpt.pieces]
            )

    def glance(self, params: Params) -> Row:
        """Return the result of the excerpt."""
        began = time.monotonic()
        nats = self._score(self._completed(params), self.excerpt.pieces)
        self._tally = tally(self.excerpt.counted(nats), self.excerpt.characters)
        self._scored = params
        each = (time.monotonic() - began) / len(self.excerpt.counts)
        # The first time may include compilation.
        self._seconds_per_character = min(each, self._seconds_per_character or each)
        return self._tally.row("model")

    def latest(self, name: str) -> Row | None:
        """Return the latest result of the excerpt; None if it was not scored in this session."""
        return None if self._tally is None else self._tally.row(name)

    def row(self, name: str, params: Params) -> Row:
        """Return the result of all of the text."""
        if self._tally is not None and self.excerpt.is_whole and self._scored is params:
            return self._tally.row(name)
        nats = self._score(self._completed(params), self.text.pieces)
        return self.text.tally(nats).row(name)

    def seconds_for_all(self, seconds_per_character: float) -> float:
        """Estimate the time to score all of the text; the argument is that of `seconds_for_one`."""
        each = self.seconds_for_one(seconds_per_character)
        return each * (self.text.characters + STREAMS * WARM_UP)

    def seconds_for_one(self, seconds_per_character: float) -> float:
        """Estimate the time to score a character.

        Arguments:
            seconds_per_character: how long training on a character takes; used until something
                has been scored twice.
        """
        guess = OF_TRAINING * seconds_per_character
        return min(guess, self._seconds_per_character or guess)
