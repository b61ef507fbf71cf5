"""The recurrent cells of flax, found by name."""

import inspect
from functools import partial
from typing import Any

import flax.linen as nn
from flax import nnx

from charrnn_core.errors import OptionError, UnknownNameError


def flax_cell(cell: str, features: int | None) -> Any:
    """A recurrent cell of flax with that many features.

    Arguments:
        cell: the name of a class of ``flax.linen``, or ``nnx.`` and that of one of ``flax.nnx``.
        features: H, the width of the hidden state.

    Returns:
        A linen module, or a constructor ``make(in_features, rngs=...)`` of an nnx one.

    Raises:
        UnknownNameError: flax has no recurrent cell of that name.
        OptionError: it has one, but that needs more than its width.

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
            f"flax cell {cell!r} cannot read characters: besides its width it needs "
            f"{', '.join(_needs(cls))}; choose one of {', '.join(fitting)}"
        )
    return partial(cls, hidden_features=features) if cell.startswith("nnx.") else cls(features)


def _classes() -> dict[str, Any]:
    """The recurrent cells of flax by name."""
    return {
        prefix + name: cls
        for prefix, module in (("", nn), ("nnx.", nnx))
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, module.RNNCellBase) and cls is not module.RNNCellBase
    }


def _needs(cls: Any) -> list[str]:
    """What a cell cannot be made without, besides its width."""
    given = {"self", "features", "in_features", "hidden_features", "rngs"}
    return [
        p.name
        for p in inspect.signature(cls.__init__).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD and p.name not in given
    ]
