"""The Mogrifier LSTM, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MogrifierOptions:
    """Options of the Mogrifier LSTM."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    rounds: int = opt(
        5, help="how often x and h modulate each other (r); 0 is an LSTM", ge=0, le=64
    )
    rank: int = opt(0, help="rank of the modulating weights; 0 is full rank", ge=0)
    forget_bias: float = opt(1.0, help="initial bias of the forget gate")
    dropout: float = opt(
        0.0, help="share of h hidden from the gates, one mask per window", ge=0, lt=1
    )


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="mogrifier",
        target="charrnn_mogrifier.cell:MogrifierCell",
        options=MogrifierOptions,
        argument="features",
        summary="LSTM whose input and state first modulate each other",
    )
