"""A stack of cells, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, CellRef, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class StackedOptions:
    """Options of the stacked cell."""

    layers: tuple[CellRef, ...] = opt(help="the cells, first to last, such as elman:128*2")
    residual: bool = opt(False, help="add a layer's input to its output if the widths are equal")
    dropout: float = opt(0.0, help="dropout rate between layers", ge=0, lt=1)
    variational: bool = opt(False, help="draw these masks once per window instead of once per step")


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="stacked",
        target="charrnn_stacked.cell:StackedCell",
        options=StackedOptions,
        argument="layers",
        summary="a stack of cells: each reads the output of the one below",
    )
