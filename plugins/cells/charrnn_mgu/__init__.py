"""The minimal gated unit, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MGUOptions:
    """Options of the minimal gated unit."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="mgu",
        target="charrnn_mgu.cell:MGUCell",
        options=MGUOptions,
        argument="features",
        summary="minimal gated unit: a GRU with one gate",
    )
