"""The text a model was trained on, read again from its source."""

from collections.abc import Callable

from charrnn_core.errors import CorpusError
from charrnn_core.runs.model import Model
from charrnn_core.terminal import to_stderr
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_again
from charrnn_core.text.split import Split


def text_again(model: Model, note: Callable[[str], None] = to_stderr) -> Corpus:
    """The text that a run's source names, as it is now.

    Raises:
        SourceError, CorpusError: it cannot be had, or is empty.
    """
    return read_again(
        model.config.source, model.registry, note,
        record=model.table["corpus"], directory=model.directory,
    )  # fmt: skip


def training_ids(model: Model, note: Callable[[str], None] = to_stderr) -> Ids:
    """The ids of the training part of the text that a run's source names.

    Arguments:
        model: from `load` or `train`.
        note: takes lines the user should see.

    Raises:
        SourceError: the text cannot be had.
        CorpusError: it is not the text the model was trained on.

    Example::

        len(training_ids(load("runs/santa")))
    """
    corpus = text_again(model, note)
    if corpus.sha256 != model.table["corpus"]["sha256"]:
        raise CorpusError(
            f"{corpus.origin} has changed since training, and only the text that the model was "
            "trained on will do here; put that back"
        )
    ids = encode_corpus(corpus, model.alphabet, model.config.unknown, note)
    return Split.named(model.config.split).training(ids)
