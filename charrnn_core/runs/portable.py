"""A model as a checkpoint of its own: what using it needs, without what only training needs."""

from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.network.pytree import to_arrays
from charrnn_core.runs.manifest import RESUMING
from charrnn_core.runs.model import Model
from charrnn_core.runs.of_text import OfText


def portable(model: Model) -> Checkpoint:
    """Return what `charrnn_core.runs.model.restore_model` makes the same model of, bit by bit.

    It has the parameters that the model uses, which may be averages, and its table of counts if it
    has one; it lacks the state of the optimizer, the carry and whatever else resuming needs.
    """
    of_text = OfText(model.network.context.owners, model.params.get(COUNTS))
    arrays = to_arrays({"params": without_counts(model.params)})
    table = {name: value for name, value in model.table.items() if name not in RESUMING}
    return Checkpoint(table, {**arrays, **of_text.arrays()})
