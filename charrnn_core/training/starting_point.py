"""Another run's parameters, from which a new training starts, also on a text with new symbols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.arrays import Params
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.network.growth import grown
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.manifest import alphabet_of, read_manifest
from charrnn_core.runs.model import learnt_params
from charrnn_core.runs.of_text import OfText
from charrnn_core.runs.opening import open_model
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.training.setup import TrainingSetup

_NAMED = 20
"""How many new symbols are named."""


@dataclass(frozen=True)
class StartingPoint:
    """Where a training starts.

    Arguments:
        name: what the user called the run.
        checkpoint: its parameters.
        chosen: which of its models it is, in words.
        alphabet: the symbols that it knows.
        cell: its cell, resolved.
        context_bits: that setting, on which the rows of its context depend.
    """

    name: str
    checkpoint: Checkpoint
    chosen: str
    alphabet: Alphabet
    cell: Mapping[str, Any]
    context_bits: int | None = None

    @classmethod
    def read(cls, name: str, note: Callable[[str], None]) -> "StartingPoint":
        """Read the best model of a run, or a checkpoint.

        Raises:
            StorageError: there is none, or it is damaged.
        """
        opened = open_model(Path(name), note)
        table = read_manifest(opened.path, opened.checkpoint.table)
        chosen, config = str(opened.chosen), table["config"]
        bits = config.get("context_bits")
        return cls(name, opened.checkpoint, chosen, alphabet_of(table), config["cell"], bits)

    def fitting(self, config: RunConfig) -> RunConfig:
        """Return the run with as many rows of the context as this has, unless it sets them."""
        return replace(config, context_bits=config.context_bits or self.context_bits)

    @property
    def of_text(self) -> OfText:
        """What its text told it: the owners of its context's rows; another text is counted anew."""
        return OfText(OfText.saved(self.checkpoint, len(self.alphabet)).owners)

    def params(self, setup: TrainingSetup) -> Params:
        """Return its parameters for the alphabet of what is to be trained.

        Raises:
            CheckpointError: they are of another network.
            OptionError: a parameter cannot be carried to a larger alphabet.
        """
        known = len(self.alphabet)
        network = replace(setup.network, symbols=known)
        params = learnt_params(self.checkpoint, network.shapes)
        if known == len(setup.alphabet):
            return params
        return grown(network, params, _occurrences(setup))

    def lines(self, setup: TrainingSetup) -> list[str]:
        """Say what is started from, and how much of the text its alphabet has."""
        lines = [
            f"note: starting a new training from the parameters of {self.name}, {self.chosen}, "
            "with a new optimizer state, schedule and data order (to continue a run, use "
            "'charrnn resume')"
        ]
        if self.alphabet.kind == "chars":
            lines.append(f"note: {self._coverage(setup)}")
        return lines

    def _coverage(self, setup: TrainingSetup) -> str:
        """Say how many characters of the text the model knows, and which it does not."""
        symbols = setup.corpus.symbols
        lacking = [symbol for symbol in symbols if symbol not in self.alphabet.symbols]
        if not lacking:
            return f"the model knows all {len(symbols)} characters of this text"
        known = f"the model knows {len(symbols) - len(lacking)} of {len(symbols)} characters"
        if len(setup.alphabet) == len(self.alphabet):
            return (
                f"{known} of this text; the others are left out wherever they occur (--unknown "
                f"skip): {_named(lacking)}"
            )
        occurrences = _occurrences(setup)
        share = occurrences[: len(self.alphabet)].sum() / occurrences.sum()
        return (
            f"{known}, which make up {share:.2%} of this text; {len(lacking)} are new and start "
            f"from the mean of the known: {_named(lacking)}"
        )


def _named(symbols: Sequence[str]) -> str:
    more = ", ..." if len(symbols) > _NAMED else ""
    return f"{', '.join(map(repr, symbols[:_NAMED]))}{more}"


def _occurrences(setup: TrainingSetup) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.bincount(setup.train_ids, minlength=len(setup.alphabet))
