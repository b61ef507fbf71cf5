"""A model for a page: the code that runs it, and the data that this code needs."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from charrnn_core.javascript.packing import halved, pack
from charrnn_core.javascript.step import Compiled
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet

_RUNTIME = ("numbers", "arrays", "model", "text", "sampling", "reader")


def engine(compiled: Compiled) -> str:
    """Return JavaScript that declares ``engine()``, whose text also makes a Web Worker.

    ``engine()`` returns the functions of ``runtime/*.js`` that pages use: ``makeModel(data)`` with
    what `model_data` returns, ``server(model, data, post, milliseconds)``, ``encode`` and others.
    """
    names = (
        "makeModel, server, encode, encodePrompt, writing, reading, unpack, randomNumbers, draw, "
    )
    names += "logProbabilities, likeliestFew"
    parts = [*map(runtime, _RUNTIME), compiled.code, f"return {{{names}}};"]
    return "function engine() {\n" + "\n".join(parts) + "\n}\n"


def runtime(name: str) -> str:
    """Return a file of the runtime."""
    return (files(__package__ or "") / "runtime" / f"{name}.js").read_text(encoding="utf-8")


def model_data(
    compiled: Compiled, alphabet: Alphabet, separator: Sequence[int], float16: bool = False
) -> dict[str, Any]:
    """Return the data of a model, plain: its numbers, the leaves of its carry, its alphabet.

    Arguments:
        compiled: from `charrnn_core.javascript.step.compile_step`.
        alphabet, separator: the model's symbols, and the ids that end a document.
        float16: store numbers of type float32 in half the space.
    """
    numbers = [halved(array) if float16 else array for array in compiled.constants]
    is_bytes = isinstance(alphabet, ByteAlphabet)
    return {
        "packed": pack([*numbers, *(leaf.start for leaf in compiled.carry)]),
        "carry": [{"name": leaf.name, "shape": list(leaf.shape)} for leaf in compiled.carry],
        "alphabet": {
            "kind": alphabet.kind,
            "points": [] if is_bytes else [ord(symbol) for symbol in alphabet.symbols],
        },
        "separator": list(separator),
    }
