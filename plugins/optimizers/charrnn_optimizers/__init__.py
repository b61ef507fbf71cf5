"""Adam, NAdam, AdamW, RMSProp, SGD and Muon with clipping and a schedule, as plugins."""

from dataclasses import dataclass
from typing import Literal

from charrnn_core import OptimizerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """Options that all optimizers share."""

    learning_rate: float = opt(4e-3, help="peak learning rate", gt=0)
    clip: float = opt(1.0, help="largest global norm of the gradient; 0 does not clip", ge=0)
    clip_value: float = opt(0.0, help="largest element of the gradient; 0 does not clip", ge=0)
    schedule: Literal["constant", "cosine", "linear", "exponential"] = opt(
        "cosine", help="learning rate over the run"
    )
    warmup: int = opt(50, help="updates of linear warm-up", ge=0)
    final: float = opt(0.05, help="share of the peak rate left at the end", ge=0, le=1)
    hold: float = opt(0.0, help="share of the run before exponential decay begins", ge=0, lt=1)
    stairs: int = opt(0, help="steps of exponential decay; 0 decays at every update", ge=0)

    def __post_init__(self) -> None:
        if self.schedule == "exponential" and not self.final:
            raise ValueError(
                "final is 0, which an exponential schedule never reaches; expected a larger value, "
                "such as final=0.01, or schedule=linear"
            )


@dataclass(frozen=True, kw_only=True)
class AdamOptions(OptimizerOptions):
    """Options of Adam and NAdam."""

    b1: float = opt(0.9, help="decay of the first moment", ge=0, lt=1)
    b2: float = opt(0.99, help="decay of the second moment", ge=0, lt=1)


@dataclass(frozen=True, kw_only=True)
class AdamWOptions(AdamOptions):
    """Options of AdamW."""

    weight_decay: float = opt(0.01, help="decoupled weight decay", ge=0)


@dataclass(frozen=True, kw_only=True)
class RMSPropOptions(OptimizerOptions):
    """Options of RMSProp."""

    learning_rate: float = opt(2e-3, help="peak learning rate", gt=0)
    decay: float = opt(0.95, help="decay of the squared gradient's average", ge=0, lt=1)


@dataclass(frozen=True, kw_only=True)
class SGDOptions(OptimizerOptions):
    """Options of SGD."""

    learning_rate: float = opt(1.0, help="peak learning rate", gt=0)
    momentum: float = opt(0.9, help="momentum; 0 for none", ge=0, lt=1)


@dataclass(frozen=True, kw_only=True)
class MuonOptions(AdamOptions):
    """Options of Muon; `b1` and `b2` are Adam's, for what is no matrix of the cell."""

    learning_rate: float = opt(0.05, help="peak learning rate of the cell's matrices", gt=0)
    adam_rate: float = opt(4e-3, help="peak learning rate of Adam, for all else", gt=0)
    momentum: float = opt(0.95, help="momentum of the cell's matrices", ge=0, lt=1)
    steps: int = opt(2, help="polynomials that make a change orthogonal", ge=1, le=20)
    weight_decay: float = opt(0.0, help="decoupled weight decay of the cell's matrices", ge=0)


@hookimpl
def charrnn_optimizers():
    of_muon = "Muon for the cell's matrices, Adam for all else (Jordan et al. 2024)"
    for target, options, summary in (
        ("optimizers:adam", AdamOptions, "Adam (Kingma and Ba 2015, arXiv 1412.6980)"),
        ("optimizers:nadam", AdamOptions, "Adam with Nesterov momentum (Dozat 2016)"),
        ("optimizers:adamw", AdamWOptions, "AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)"),
        ("optimizers:rmsprop", RMSPropOptions, "RMSProp (Tieleman and Hinton 2012)"),
        ("optimizers:sgd", SGDOptions, "stochastic gradient descent with momentum"),
        ("muon:muon", MuonOptions, of_muon),
    ):
        yield OptimizerPlugin(
            name=target.partition(":")[2],
            target=f"charrnn_optimizers.{target}",
            options=options,
            argument="learning_rate",
            summary=summary,
        )
