"""What a training forgets of the text of the run that it started from, measured at its end."""

from dataclasses import replace

from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation.old_text import OldText
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.evaluation.scoring import STREAMS, WARM_UP
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.model import Model, load
from charrnn_core.runs.writer import RunWriter
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.setup import TrainingSetup


class Forgotten:
    """Measures it, if there is such a run, if its text is another one, and if that is at hand.

    Where it is not at hand, a note says so at the start, and a remark in the result.

    Arguments:
        setup: what is trained.
        writer: the directory of the training.
        context: where notes go, and the plugins.
    """

    def __init__(self, setup: TrainingSetup, writer: RunWriter, context: TrainingContext) -> None:
        self._old: OldText | None = None
        self._remarks: tuple[str, ...] = ()
        origin = setup.config.init_from
        if origin is None:
            return
        split = "NAME"
        try:
            model = load(origin, context.registry, note=lambda line: None)
            split = model.config.split
            if model.table["corpus"]["sha256"] != setup.corpus.sha256:
                self._old = OldText.of_run(origin, model, setup.config.eval_characters)
        except CharRNNError as error:
            directory = RunDirectory(writer.path)
            later = ("eval", writer.path, "--source", "SPEC", "--split", split)
            self._remarks = (
                f"what is forgotten of the text of {origin} is not measured: {error}; where that "
                f"text is at hand, this measures it: {directory.command(*later)}",
            )
            context.note(f"note: {self._remarks[0]}")

    def seconds(self, seconds_per_character: float) -> float:
        """Estimate how long measuring takes, if scoring a character takes so long."""
        if self._old is None:
            return 0.0
        read = self._old.text.characters + STREAMS * WARM_UP
        return self._old.passes * read * seconds_per_character

    def added_to(self, evaluation: Evaluation, model: Model) -> Evaluation:
        """Return the result of a training with what was forgotten."""
        if self._old is None:
            return replace(evaluation, remarks=(*evaluation.remarks, *self._remarks))
        return replace(evaluation, forgetting=self._old.forgetting(model))
