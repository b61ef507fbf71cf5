"""The recurrent cells of flax by name, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, hookimpl, opt
from charrnn_core.registry.options import settle


@dataclass(frozen=True, kw_only=True)
class FlaxOptions:
    """Options of a cell of flax."""

    cell: str = opt(help="NAME of flax.linen or nnx.NAME, or with a width NAME:FEATURES")
    features: int | None = opt(None, help="width of the hidden state (H); by default 256", ge=1)

    def __post_init__(self) -> None:
        name, colon, features = self.cell.partition(":")
        if colon and self.features is not None:
            raise ValueError(
                f"features is given twice, as {features!r} after the cell's name and as "
                f"{self.features}; give it once"
            )
        object.__setattr__(self, "cell", name)
        object.__setattr__(self, "features", features if colon else self.features or 256)
        settle(self, "cell 'flax'")


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="flax",
        target="charrnn_flax.cell:flax_cell",
        options=FlaxOptions,
        argument="cell",
        summary="a cell of flax by its class: flax:GRUCell:128, flax:nnx.LSTMCell",
    )
