"""The Elman cell, as a plugin."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class ElmanOptions:
    """Options of the Elman cell."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    activation: Literal["tanh", "relu", "sigmoid"] = opt("tanh", help="the nonlinearity")
    recurrent_init: Literal["orthogonal", "glorot"] = opt(
        "orthogonal", help="initialization of the recurrent weights W"
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="elman",
        target="charrnn_elman.cell:elman",
        options=ElmanOptions,
        argument="features",
        summary="h' = tanh(W h + U x + b), the simple recurrent network",
    )
