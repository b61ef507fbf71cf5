"""What a file says of the model in it, in formats that hold programs."""

from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from charrnn_core.runs.overview import spec
from charrnn_core.text.alphabet import ByteAlphabet
from charrnn_export.step import Step
from charrnn_export.variant import Variant


def about(variant: Variant, step: Step) -> dict[str, Any]:
    """Return what a program needs to use a step, and what a person wants to know, for JSON."""
    model, nats = variant.model, variant.nats
    is_bytes = isinstance(model.alphabet, ByteAlphabet)
    return {
        "charrnn": version("charrnn"),
        "alphabet": {
            "kind": model.alphabet.kind,
            "symbols": None if is_bytes else "".join(model.alphabet.symbols),
        },
        "carry": step.described_carry(),
        "cell": spec(model.config.cell.table()),
        "text": text_name(variant),
        "updates": model.chosen.step,
        "parameters": model.parameters,
        "counts": variant.has_counts,
        "held_out_nats_per_char": None if isinstance(nats, str) else nats["export"],
    }


def text_name(variant: Variant) -> str:
    """Return the name of the text; of a file, not the folder, which is nobody's business."""
    return PurePath(variant.model.table["corpus"]["name"].removeprefix("file:")).name
