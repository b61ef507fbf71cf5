"""The independently recurrent network, as a plugin."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class IndRNNOptions:
    """Options of the independently recurrent network."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    activation: Literal["relu", "tanh"] = opt("relu", help="the nonlinearity")
    steps: int = opt(
        0, help="bound on u: 0 is |u| <= 1, else |u| <= 2^(1/steps), so h at most doubles", ge=0
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="indrnn",
        target="charrnn_indrnn.cell:IndRNNCell",
        options=IndRNNOptions,
        argument="features",
        summary="h' = f(U x + u h + b), each unit sees only its own past",
    )
