"""What a run leaves to its length: its cell's width, what is dropped, and whose the rows are."""

import dataclasses

from charrnn_core.network.network import Network
from charrnn_core.network.sizing import refuse_too_large
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.model import build_network
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.training.batches import Batching
from charrnn_core.training.policy import Budget
from charrnn_core.training.regularisation import exposure_of, regularised
from charrnn_core.training.widening import widened


def decided_by_length(
    config: RunConfig,
    network: Network,
    batching: Batching,
    budget: Budget,
    *,
    alphabet: Alphabet,
    registry: Registry,
    operations_per_second: float,
    notes: list[str],
) -> RunConfig:
    """Return the run with everything decided that it leaves to its length.

    Arguments:
        config: a resolved run.
        network: what it describes so far.
        batching, budget: how it reads its text, and for how long.
        alphabet: the symbols of the text.
        registry: the plugins.
        operations_per_second: of all devices; see `charrnn_core.devices.operations_per_second`.
        notes: lines for the user, appended to.

    Raises:
        CharRNNError: the cell, as wide as it has to be, is too large.
    """
    exposure = exposure_of(network, batching, budget, operations_per_second)
    if (wider := widened(config, exposure.read, notes)).cell != config.cell:
        refuse_too_large(network := build_network(wider, alphabet, registry))
        exposure = exposure_of(network, batching, budget, operations_per_second)
    config = regularised(wider, exposure, notes)
    if config.context_owned is None:
        config = dataclasses.replace(config, context_owned=exposure.is_repeated)
    return config
