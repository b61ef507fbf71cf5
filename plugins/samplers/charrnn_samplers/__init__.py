"""Samplers that truncate the distribution or penalise repetition, as plugins."""

from dataclasses import dataclass

from charrnn_core import SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class TopKOptions:
    """Options of the top-k sampler."""

    k: int = opt(10, help="how many symbols can be drawn", ge=1)


@dataclass(frozen=True, kw_only=True)
class TopPOptions:
    """Options of the top-p sampler."""

    p: float = opt(0.9, help="the probability the most likely symbols must reach", gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class MinPOptions:
    """Options of the min-p sampler."""

    p: float = opt(0.05, help="the least probability, relative to the largest", ge=0, le=1)


@dataclass(frozen=True, kw_only=True)
class TypicalOptions:
    """Options of the typical sampler."""

    p: float = opt(0.9, help="the probability the most typical symbols must reach", gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class RepetitionOptions:
    """Options of the repetition sampler."""

    penalty: float = opt(1.2, help="above 1 discourages; 1 changes nothing", gt=0)
    last: int = opt(64, help="how many of the last characters to consider", ge=1, le=4096)


@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(
        name="greedy",
        target="charrnn_samplers.truncation:greedy",
        summary="the most likely symbol",
    )
    yield SamplerPlugin(
        name="top-k",
        target="charrnn_samplers.truncation:top_k",
        options=TopKOptions,
        argument="k",
        summary="the k most likely symbols",
    )
    yield SamplerPlugin(
        name="top-p",
        target="charrnn_samplers.truncation:top_p",
        options=TopPOptions,
        argument="p",
        summary="the smallest set of most likely symbols that sums to p (nucleus)",
    )
    yield SamplerPlugin(
        name="min-p",
        target="charrnn_samplers.truncation:min_p",
        options=MinPOptions,
        argument="p",
        summary="symbols at least p times as likely as the most likely one",
    )
    yield SamplerPlugin(
        name="typical",
        target="charrnn_samplers.truncation:typical",
        options=TypicalOptions,
        argument="p",
        summary="the fewest symbols of typical surprise (near the entropy) that sum to p",
    )
    yield SamplerPlugin(
        name="repetition",
        target="charrnn_samplers.repetition:Repetition",
        options=RepetitionOptions,
        argument="penalty",
        summary="lowers the scores of recent symbols",
    )
