"""The identity-initialised ReLU cell and top-k sampling, as a charrnn plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class IRNNOptions:
    """Options of the IRNN cell."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    scale: float = opt(0.5, help="W starts as this times the identity", ge=0)
    input_deviation: float = opt(0.001, help="standard deviation with which U starts", ge=0)


@dataclass(frozen=True, kw_only=True)
class TopKOptions:
    """Options of the top-k sampler."""

    k: int = opt(10, help="how many symbols can be drawn", ge=1)


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="irnn",
        target="charrnn_irnn.cell:IRNNCell",
        options=IRNNOptions,
        argument="features",
        summary="h' = relu(W h + U x + b), W starting as the identity",
    )


@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(
        name="top-k",
        target="charrnn_irnn.sampler:top_k",
        options=TopKOptions,
        argument="k",
        summary="the k likeliest symbols",
    )
