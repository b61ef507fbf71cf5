"""The long short-term memory, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class LSTMOptions:
    """Options of the long short-term memory."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    forget_bias: float = opt(1.0, help="initial bias of the forget gate")
    layer_norm: bool = opt(False, help="layer normalisation of products and memory")
    zoneout_c: float = opt(0.0, help="share of the cell state c kept unchanged", ge=0, le=1)
    zoneout_h: float = opt(0.0, help="share of the hidden state h kept unchanged", ge=0, le=1)
    dropout: float = opt(
        0.0, help="share of h hidden from the gates, one mask per window", ge=0, lt=1
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="lstm",
        target="charrnn_lstm.cell:LSTMCell",
        options=LSTMOptions,
        argument="features",
        summary="long short-term memory with a forget gate",
    )
