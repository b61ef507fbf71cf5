"""The minimal GRU, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MinGRUOptions:
    """Options of the minimal GRU."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="mingru",
        target="charrnn_mingru.cell:MinGRUCell",
        options=MinGRUOptions,
        argument="features",
        summary="GRU whose gate reads only the input",
    )
