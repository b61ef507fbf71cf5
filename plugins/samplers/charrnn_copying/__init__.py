"""Copies of the training text, as a plugin: a sampler that makes none, a command to find them."""

from dataclasses import dataclass

from charrnn_core import SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class NoCopyOptions:
    """Options of the no-copy sampler."""

    longest: int = opt(30, help="the longest run that may be copied, in symbols (N)", ge=1)


@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(
        name="no-copy",
        target="charrnn_copying.sampler:NoCopy",
        options=NoCopyOptions,
        argument="longest",
        summary="no verbatim run of the training text is longer than N",
    )
