"""The multiplicative LSTM, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MLSTMOptions:
    """Options of the multiplicative LSTM."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    forget_bias: float = opt(1.0, help="initial bias of the forget gate")
    dropout: float = opt(
        0.0, help="share of h hidden from the gates, one mask per window", ge=0, lt=1
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="mlstm",
        target="charrnn_mlstm.cell:MLSTMCell",
        options=MLSTMOptions,
        argument="features",
        summary="LSTM whose recurrent weights depend on the input",
    )
