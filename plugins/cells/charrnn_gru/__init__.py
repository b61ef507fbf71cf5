"""The gated recurrent unit, as a plugin."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class GRUOptions:
    """Options of the gated recurrent unit."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    reset: Literal["before", "after"] = opt(
        "after", help="whether the reset gate acts before the recurrent product or after it"
    )
    layer_norm: bool = opt(False, help="layer normalisation of every product")
    zoneout: float = opt(0.0, help="share of the hidden state kept unchanged", ge=0, le=1)
    dropout: float = opt(
        0.0, help="share of h hidden from the gates, one mask per window", ge=0, lt=1
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="gru",
        target="charrnn_gru.cell:GRUCell",
        options=GRUOptions,
        argument="features",
        summary="gated recurrent unit",
    )
