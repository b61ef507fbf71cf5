"""The held-out text of an older run, scored by its model and by a later one."""

from dataclasses import dataclass

from charrnn_core.cell import Params
from charrnn_core.errors import CorpusError, SourceError
from charrnn_core.evaluation.comparison import ScoredPart
from charrnn_core.evaluation.forgetting import Forgetting
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.evaluation.training_text import text_of_training
from charrnn_core.evaluation.unknown import Unknown
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.runs.model import Model
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.kept import KEPT_NAME
from charrnn_core.text.split import Split, count_characters, first_characters

_STANDARD_INPUT = "-"


@dataclass(frozen=True)
class OldText:
    """The held-out text of the run that a training starts from.

    Arguments:
        run: what its user called it.
        model: its model, from which the training starts.
        text: the part that it held out.
    """

    run: str
    model: Model
    text: ScoredPart

    @classmethod
    def of_run(cls, run: str, model: Model, most: int) -> "OldText":
        """Read the held-out text of a run from its copy, or from its source.

        Arguments:
            run: what its user called it.
            model: its model.
            most: the most characters to score.

        Raises:
            SourceError: the text cannot be read.
            CorpusError: it has changed since, or no part of it is held out.
        """
        config, alphabet = model.config, model.alphabet
        has_copy = model.directory is not None and (model.directory / KEPT_NAME).exists()
        if config.source.argument == _STANDARD_INPUT and not has_copy:
            raise SourceError("it came from standard input, and the run has kept no copy of it")

        def nothing(line: str) -> None:
            del line

        corpus = text_of_training(model, nothing)
        ids = encode_corpus(corpus, alphabet, config.unknown, nothing)
        beginning = encode_prompt(alphabet, "", separator=model.network.separator)
        pieces = Split.named(config.split).pieces(ids, "valid", int(beginning[0]))
        text = ScoredPart(
            alphabet=alphabet,
            split=config.split,
            part="valid",
            pieces=first_characters(pieces, min(most, config.eval_characters)),
            unknown=Unknown.none(alphabet),
        )
        if not count_characters(text.pieces):
            raise CorpusError(f"split {config.split!r} holds nothing of it out")
        return cls(run, model, text)

    @property
    def passes(self) -> int:
        """How often `forgetting` scores the text, if both models have counts or neither has."""
        return 4 if COUNTS in self.model.params else 2

    def forgetting(self, now: Model) -> Forgetting:
        """Score the text with the model of then and with that of now.

        Arguments:
            now: its alphabet begins with that of the model of then, so that ids are the same.
        """
        rows = {
            "before": self._row("before", self.model, self.model.params),
            "after": self._row("after", now, now.params),
        }
        if COUNTS in self.model.params or COUNTS in now.params:
            for name, model in (("alone_before", self.model), ("alone_after", now)):
                rows[name] = self._row("network alone", model, without_counts(model.params))
        return Forgetting(
            run=self.run,
            text=str(self.model.table["corpus"]["name"]),
            split=self.text.split,
            characters=self.text.characters,
            symbol=self.text.alphabet.unit,
            **rows,
        )

    def _row(self, name: str, model: Model, params: Params) -> Row:
        scorer = model.programs.get(("score", None), lambda: Scorer(model.network))
        return self.text.tally(scorer(params, self.text.pieces)).row(name)
