"""The recurrent cells of flax, found by name."""

import inspect
from functools import partial
from typing import Any

import flax.linen as nn
from flax import nnx

from charrnn_core.errors import OptionError, UnknownNameError


def flax_cell(cell: str, features: int | None) -> Any:
    """Return a recurrent cell of flax.

    Arguments:
        cell: the name of a class of ``flax.linen``, or ``nnx.`` and the name of one of
            ``flax.nnx``.
        features: H, the width of the hidden state.

    Returns:
        A linen module, or a constructor ``make(in_features, rngs=...)`` of an nnx module.

    Raises:
        UnknownNameError: flax has no recurrent cell of that name.
        OptionError: the cell requires other arguments besides its width.

    >>> flax_cell("GRUCell", 4).features
    4
    """
    classes = _classes()
    fitting = [name for name, cls in classes.items() if not _needs(cls)]
    if cell not in classes:
        raise UnknownNameError("flax cell", cell, fitting)
    cls = classes[cell]
    if cell not in fitting:
        raise OptionError(
            f"flax cell {cell!r} cannot be used here: besides its width it requires "
            f"{', '.join(_needs(cls))}; expected one of {', '.join(fitting)}"
        )
    return partial(cls, hidden_features=features) if cell.startswith("nnx.") else cls(features)


def _classes() -> dict[str, Any]:
    """Return the recurrent cells of flax by name."""
    return {
        prefix + name: cls
        for prefix, module in (("", nn), ("nnx.", nnx))
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, module.RNNCellBase) and cls is not module.RNNCellBase
    }


def _needs(cls: Any) -> list[str]:
    """Return the required arguments of a cell's constructor, besides its width."""
    given = {"self", "features", "in_features", "hidden_features", "rngs"}
    return [
        p.name
        for p in inspect.signature(cls.__init__).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD and p.name not in given
    ]
