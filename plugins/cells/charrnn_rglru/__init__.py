"""The real-gated linear recurrent unit, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class RGLRUOptions:
    """Options of the real-gated linear recurrent unit."""

    features: int = opt(256, help="width of the hidden state (H)", ge=1)


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="rglru",
        target="charrnn_rglru.cell:RGLRUCell",
        options=RGLRUOptions,
        argument="features",
        summary="real-gated linear recurrent unit of Griffin",
    )
