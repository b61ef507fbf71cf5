"""The model itself in the page, so that it reads what a visitor types."""

import json
from dataclasses import dataclass
from typing import Any

from charrnn_core.errors import ExportError
from charrnn_core.javascript.bundle import engine, model_data
from charrnn_core.javascript.step import compile_step
from charrnn_core.runs.model import Model

MOST_BYTES = 1_000_000
"""A page with 5,000 characters has at most so many, unless it is asked to enclose the model."""

_MOST_PARAMETERS = 1_000_000
"""More take four times as much: nobody has to compile them to see that."""

_TOO_LARGE = (
    "To see how the network reads a text that you type, make the page with --model. The model is "
    "not in this one, which would have more than 1 MB with it."
)


@dataclass(frozen=True)
class Enclosed:
    """A model in a page, or why it has none.

    Arguments:
        code: JavaScript that declares ``engine()``; empty without a model.
        data: what that needs, plain; None without a model.
        words: what the page says of it.
    """

    code: str
    data: dict[str, Any] | None
    words: str


def enclosed(model: Model, wanted: bool | None, room: int) -> Enclosed:
    """Return a model as it is, so that what it says of a typed text is what ``score`` says.

    Arguments:
        wanted: whether it is to be in the page; None if it is where it takes at most the room.
        room: bytes.
    """
    if wanted is False:
        return _without(
            "This page was made without the model; one made with --model reads what you type."
        )
    if wanted is None and model.parameters > _MOST_PARAMETERS:
        return _without(_TOO_LARGE)
    try:
        compiled = compile_step(model.network, model.params)
    except ExportError as error:
        return _without(f"A text of your own cannot be read here: {error}")
    data = model_data(compiled, model.alphabet, model.network.separator)
    code = engine(compiled)
    if wanted is None and len(code) + len(json.dumps(data)) > room:
        return _without(_TOO_LARGE)
    return Enclosed(code, data, "The model is in this page and reads it here; nothing is sent.")


def _without(words: str) -> Enclosed:
    return Enclosed("", None, words)
