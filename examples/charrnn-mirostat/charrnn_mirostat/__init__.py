"""Mirostat sampling and a diary of samples, as a charrnn plugin."""

from dataclasses import dataclass

from charrnn_core import ObserverPlugin, SamplerPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class MirostatOptions:
    """Options of the mirostat sampler."""

    bits: float = opt(1.5, help="the surprise per character that is aimed at, in bits", gt=0)
    rate: float = opt(0.1, help="how fast the bound follows, per character", gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class DiaryOptions:
    """Options of the diary."""

    name: str = opt("diary.md", help="the file in the run directory")


@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(
        name="mirostat",
        target="charrnn_mirostat.sampler:Mirostat",
        options=MirostatOptions,
        argument="bits",
        summary="text of a constant surprise, by a bound that follows what was drawn",
    )


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="diary",
        target="charrnn_mirostat.observer:Diary",
        options=DiaryOptions,
        argument="name",
        summary="writes the samples of a training into one Markdown file",
    )
