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
    """Read the text that a run's source names, as it is now.

    Raises:
        SourceError: it cannot be read.
        CorpusError: it is empty or not text.
    """
    return read_again(
        model.config.source,
        model.registry,
        note,
        record=model.table["corpus"],
        directory=model.directory,
    )


def text_of_training(model: Model, note: Callable[[str], None] = to_stderr) -> Corpus:
    """Read the very text that a model was trained on.

    Raises:
        SourceError: it cannot be read.
        CorpusError: it is not the text the model was trained on.
    """
    corpus = text_again(model, note)
    if corpus.sha256 != model.table["corpus"]["sha256"]:
        raise CorpusError(
            f"{corpus.origin} has changed since training; this needs the very text that the model "
            "was trained on: restore it"
        )
    return corpus


def training_ids(model: Model, note: Callable[[str], None] = to_stderr) -> Ids:
    """Read the training part of the text that a run's source names, as ids.

    Arguments:
        model: from `load` or `train`.
        note: called with each line that the user should see.

    Raises:
        SourceError: the text cannot be read.
        CorpusError: it is not the text the model was trained on.

    Example::

        len(training_ids(load("runs/santa")))
    """
    corpus = text_of_training(model, note)
    ids = encode_corpus(corpus, model.alphabet, model.config.unknown, note)
    return Split.named(model.config.split).training(ids)
