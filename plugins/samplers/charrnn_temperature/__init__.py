"""Sampling at a temperature, as a plugin."""

from dataclasses import dataclass

from charrnn_core import SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class TemperatureOptions:
    """Options of the temperature sampler."""

    temperature: float = opt(1.0, help="T: below 1 is bolder, 0 is argmax", ge=0)


@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(
        name="temperature",
        target="charrnn_temperature.sampler:temperature",
        options=TemperatureOptions,
        argument="temperature",
        summary="softmax(logits / T); T = 0 is argmax",
    )
