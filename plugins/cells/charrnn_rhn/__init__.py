"""The recurrent highway network, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class RHNOptions:
    """Options of the recurrent highway network."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    depth: int = opt(3, help="highway layers per step (L)", ge=1, le=64)
    transform_bias: float = opt(-2.0, help="initial bias of the transform gates")
    dropout: float = opt(
        0.0, help="share of each s hidden from the next layer, one mask per window", ge=0, lt=1
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="rhn",
        target="charrnn_rhn.cell:RHNCell",
        options=RHNOptions,
        argument="features",
        summary="recurrent highway network: several highway layers per step",
    )
