"""A cell as wide as a number of parameters allows."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from charrnn_core.errors import OptionError
from charrnn_core.model import count_parameters
from charrnn_core.network import Network
from charrnn_core.run import RunConfig
from charrnn_core.spec import Ref

WIDTH = "features"
"""The option that every cell calls its width by."""

_WIDEST = 2**20
_STEPS = 60


def size_cell(
    config: RunConfig, build: Callable[[RunConfig], Network], budget: int
) -> tuple[RunConfig, str]:
    """The same run with the widest cell whose network has at most `budget` parameters.

    All layers of a stack keep the ratio of their widths. The cell's other options stay.

    Arguments:
        config: a resolved configuration.
        build: makes its network.
        budget: how many parameters are wanted.

    Returns:
        The configuration, with `budget` spent, and a line for the user.

    Raises:
        OptionError: the cell has no width to change, or even the narrowest has more parameters.
    """

    def count(scale: float) -> int:
        network = build(dataclasses.replace(config, cell=_scaled(config.cell, scale)))
        return count_parameters(jax.eval_shape(network.init, jax.random.key(0)))

    if not (widths := _widths(config.cell)):
        raise OptionError(
            f"parameters is {budget}, but cell {config.cell.use!r} has no option {WIDTH!r} that "
            "could be changed to reach it; give the cell its size instead"
        )
    if count(low := 0.5 / max(widths)) > budget:
        raise OptionError(
            f"parameters is {budget}; a network with {config.cell.use!r} of one unit has "
            f"{count(low)}: expected more, or a narrower embedding"
        )
    high = _WIDEST / max(widths)
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if count(middle) <= budget else (low, middle)
        if _scaled(config.cell, low) == _scaled(config.cell, high):
            break
    cell = _scaled(config.cell, low)
    shown = ", ".join(map(str, _widths(cell)))
    line = f"{WIDTH} {shown}: {count(low):,} parameters, of {budget:,} asked for"
    return dataclasses.replace(config, cell=cell, parameters=None), line


def _widths(ref: Ref) -> list[int]:
    found = []
    for name, value in ref.options.items():
        if name == WIDTH and isinstance(value, int):
            found.append(value)
        found += [width for inner in _inner(value) for width in _widths(inner)]
    return found


def _scaled(ref: Ref, scale: float) -> Ref:
    """A cell with every width in it multiplied, to at least 1."""

    def change(name: str, value: Any) -> Any:
        if name == WIDTH and isinstance(value, int):
            return min(_WIDEST, max(1, round(value * scale)))
        if isinstance(value, Ref):
            return _scaled(value, scale)
        if isinstance(value, tuple):
            return tuple(_scaled(v, scale) if isinstance(v, Ref) else v for v in value)
        return value

    return Ref(ref.use, ref.argument, {k: change(k, v) for k, v in ref.options.items()})


def _inner(value: Any) -> list[Ref]:
    entries = value if isinstance(value, tuple) else (value,)
    return [entry for entry in entries if isinstance(entry, Ref)]
