"""The model itself in the page, so that it reads what a visitor types."""

import json
from dataclasses import dataclass
from typing import Any

from charrnn_core.errors import ExportError
from charrnn_core.javascript.bundle import engine, model_data
from charrnn_core.javascript.step import compile_step
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.runs.model import Model

MOST_BYTES = 1_000_000
"""A page with 5,000 characters has at most so many, unless it is asked to enclose the model."""


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
    """Return the network of a model in float16, without counts, and leave out what it cannot be.

    Arguments:
        wanted: whether it is to be in the page; None if it is where it takes at most the room.
        room: bytes.
    """
    if wanted is False:
        return _without(
            "This page was made without the model; one made with --model reads what you type."
        )
    try:
        compiled = compile_step(model.network, without_counts(model.params))
    except ExportError as error:
        return _without(f"A text of your own cannot be read here: {error}")
    data = model_data(compiled, model.alphabet, model.network.separator, float16=True)
    code = engine(compiled)
    size = len(code) + len(json.dumps(data))
    if wanted is None and size > room:
        return _without(
            "To see how the network reads a text that you type, make the page with --model. The "
            f"model is not in this one, because it would add {size / 1e6:.1f} MB."
        )
    counts = " alone, without the counts of its text," if COUNTS in model.params else ""
    return Enclosed(code, data, f"The network{counts} reads it here; nothing is sent anywhere.")


def _without(words: str) -> Enclosed:
    return Enclosed("", None, words)
