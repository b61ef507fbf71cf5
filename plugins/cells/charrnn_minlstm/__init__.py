"""The minimal LSTM, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MinLSTMOptions:
    """Options of the minimal LSTM."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    forget_bias: float = opt(1.0, help="initial bias of the forget gate")


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="minlstm",
        target="charrnn_minlstm.cell:MinLSTMCell",
        options=MinLSTMOptions,
        argument="features",
        summary="LSTM whose gates read only the input",
    )
