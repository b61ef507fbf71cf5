"""A stack of cells, as a plugin."""

from dataclasses import dataclass

from charrnn_core import CellPlugin, CellRef, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class StackedOptions:
    """Options of the stacked cell."""

    layers: tuple[CellRef, ...] = opt(help="the cells, first to last, such as elman:128*2")
    residual: bool = opt(False, help="add a layer's input to its output if the widths agree")
    dropout: float = opt(0.0, help="share of a layer's output dropped before the next", ge=0, lt=1)
    variational: bool = opt(False, help="draw these masks once per window, not per step")


@hookimpl
def charrnn_cells():
    yield CellPlugin(
        name="stacked",
        target="charrnn_stacked.cell:StackedCell",
        options=StackedOptions,
        argument="layers",
        summary="a stack of cells: each reads the output of the one below",
    )
