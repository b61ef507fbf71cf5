"""The sLSTM, as a plugin."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class SLSTMOptions:
    """Options of the sLSTM."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    forget: Literal["sigmoid", "exponential"] = opt("sigmoid", help="the forget gate's function")
    forget_bias: float = opt(1.0, help="initial bias of the forget gate")


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="slstm",
        target="charrnn_slstm.cell:SLSTMCell",
        options=SLSTMOptions,
        argument="features",
        summary="LSTM with exponential gates and a normalised memory (xLSTM)",
    )
