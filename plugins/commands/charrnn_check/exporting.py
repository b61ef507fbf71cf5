"""Whether a network of a cell can be exported to a page, and if not, why."""

import jax

from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError
from charrnn_core.javascript.step import compile_step
from charrnn_core.network.network import Network
from charrnn_core.testing.cell.subject import CellSubject

_SYMBOLS = 7


def why_not_exported(name: str) -> str | None:
    """Return why a cell cannot be exported, or None if it can.

    >>> why_not_exported("elman:8")
    """
    with kept_clean():
        try:
            network = Network(CellSubject.of("cell", name).cell, _SYMBOLS)
            compile_step(network, network.init(jax.random.key(0)))
        except CharRNNError as error:
            return str(error)
    return None
