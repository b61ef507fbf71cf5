"""A cell as wide as the run is long, where its width is left to the run."""

import dataclasses

from charrnn_core.registry.width import scale_cell, widths
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.rates import AUTO

_WIDER = ((30e6, 2.0), (6e6, 1.5))
"""From so many characters on, a cell is so many times as wide as by default."""


def width_by_rule(characters: float) -> float:
    """Return how many times as wide as by default a cell is that reads so many characters.

    One up to 6 million, 1.5 up to 30 million, and 2 from there on. A wide cell learns more from a
    character and reads fewer of them in a minute: after 4 million an LSTM of 256 units is about as
    good as one of 320 after 3 million, and after 11 million it is behind one of 384 after 7.
    The figures are in ``benchmarks/README.md``.

    >>> width_by_rule(5e6), width_by_rule(8e6), width_by_rule(1e9)
    (1.0, 1.5, 2.0)
    """
    return next((times for least, times in _WIDER if characters >= least), 1.0)


def widened(config: RunConfig, characters: float, notes: list[str]) -> RunConfig:
    """Return the run with its cell as wide as the rule has it, if its `parameters` are ``auto``.

    Arguments:
        config: a run with a resolved cell.
        characters: how many the cell that it has is expected to read.
        notes: lines for the user, appended to.
    """
    if config.parameters != AUTO:
        return config
    cell = scale_cell(config.cell, width_by_rule(characters))
    now, before = (", ".join(map(str, widths(each))) for each in (cell, config.cell))
    if now != before:
        notes.append(
            f"features is {now} instead of {before} (auto: about {characters / 1e6:.3g} M "
            "characters will be read)"
        )
    return dataclasses.replace(config, cell=cell, parameters=None)
