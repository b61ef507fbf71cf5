"""The identity-initialised ReLU cell and epsilon sampling, as a charrnn plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class IRNNOptions:
    """Options of the IRNN cell."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)
    scale: float = opt(0.5, help="W starts as this times the identity", ge=0)
    input_deviation: float = opt(0.001, help="standard deviation with which U starts", ge=0)


@dataclass(frozen=True, kw_only=True)
class EpsilonOptions:
    """Options of the epsilon sampler."""

    epsilon: float = opt(0.001, help="the least probability that can be drawn", gt=0, lt=1)


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
        name="epsilon",
        target="charrnn_irnn.sampler:epsilon",
        options=EpsilonOptions,
        argument="epsilon",
        summary="symbols with at least this probability",
    )
