"""A cell as wide as a number of parameters allows."""

import bisect
from collections.abc import Callable

import jax

from charrnn_core.devices import memory_bytes
from charrnn_core.errors import OptionError
from charrnn_core.network.context import without_rows
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import count_parameters
from charrnn_core.registry.spec import Ref
from charrnn_core.registry.width import WIDTH, scale_cell, widths

_WIDEST = 2**20
_COPIES = 4


def size_cell(cell: Ref, build: Callable[[Ref], Network], budget: int) -> tuple[Ref, str]:
    """Find the widest cell of this kind whose network has at most `budget` parameters.

    The rows of a context do not count. All layers of a stack keep the ratio of their widths. The
    cell's other options stay. No cell of more than twice that width is tried: some cannot be
    described without being made.

    Arguments:
        cell: a cell whose options are all resolved.
        build: makes the network of a cell.
        budget: how many parameters there may be.

    Returns:
        The cell, and a line for the user.

    Raises:
        OptionError: the cell has no width to change, or even the narrowest has more parameters.
    """

    def cell_of(width: int) -> Ref:
        return scale_cell(cell, width / max(own))

    def count(width: int) -> int:
        return count_parameters(without_rows(build(cell_of(width)).shapes))

    if not (own := widths(cell)):
        raise OptionError(
            f"parameters is {budget}, but cell {cell.use!r} has no option {WIDTH!r} that "
            "could be changed to reach it; give the cell its size instead"
        )
    if (least := count(1)) > budget:
        raise OptionError(
            f"parameters is {budget}; a network with {cell.use!r} of one unit has "
            f"{least}: expected more, or a narrower embedding"
        )
    high = 2
    while high < _WIDEST and count(high) <= budget:
        high *= 2
    width = bisect.bisect_right(range(high), budget, lo=high // 2, key=count) - 1
    widest = cell_of(width)
    shown = ", ".join(map(str, widths(widest)))
    line = f"{WIDTH} {shown}: {count(width):,} parameters, of {budget:,} asked for"
    return widest, line


def refuse_too_large(network: Network) -> None:
    """Refuse a network that this machine cannot train, before XLA fails to make it.

    Raises:
        OptionError: its parameters, their gradient and Adam's two averages exceed the memory.
    """
    shapes = network.shapes
    needed = _COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    there = memory_bytes()
    if needed > there:
        raise OptionError(
            f"a network of {count_parameters(shapes):,} parameters needs {needed / 2**30:,.0f} GiB "
            f"to be trained, and there are {there / 2**30:,.0f}; expected a narrower cell, such as "
            "--params 1M"
        )
